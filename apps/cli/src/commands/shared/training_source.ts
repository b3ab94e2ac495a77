// Where a training's activations come from: captured from a model, or several, over token stores, or read from a cache.
import { resolve } from 'node:path'
import type { Capture } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import type { WorkerPool } from '@mistudio/tensor'

/** Where all of it lies; part of a checkpoint, so that `sae finalise` finds it. */
export type TrainingOrigin = {
  models: string[]
  datasets: string[]
  /** A folder of cached activations in place of capturing. */
  cached: string | null
  hooks: string[]
  weights: number[] | null
  seed: number
}

/**
 * Opens everything for as long as `work` runs.
 * @throws InputError if something does not exist or does not fit the rest: both are named
 */
export async function withTrainingSource<T>(
  options: TrainingOrigin & { pool: WorkerPool },
  work: (capture: Capture, origin: TrainingOrigin) => Promise<T>,
): Promise<T> {
  const { pool, ...given } = options
  const origin = {
    ...given,
    models: given.models.map(dir => resolve(dir)),
    datasets: given.datasets.map(dir => resolve(dir)),
    cached: given.cached === null ? null : resolve(given.cached),
  }
  const { models, datasets, cached, hooks, weights, seed } = origin
  checkSource(origin)
  const { withCapture } = await import('@mistudio/capture')
  const texts = { stores: datasets, weights, seed }
  return await withCapture(
    cached === null ? { pool, models, hooks, texts } : { pool, models, hooks, cached },
    capture => work(capture, origin),
  )
}

/** @throws InputError unless there is either text or a cache */
function checkSource({ datasets, cached, weights }: TrainingOrigin): void {
  if (cached === null && datasets.length === 0) {
    throw new InputError({
      message: 'there is nothing to train on',
      field: '--dataset',
      found: 'none',
      expected: 'token stores, or --cached with activations',
    })
  }
  if (cached !== null && (datasets.length > 0 || weights !== null)) {
    throw new InputError({
      message: 'cached activations are of the datasets they were made from',
      field: '--cached and --dataset',
      found: `${cached} and ${[...datasets, ...(weights ?? [])].join(', ')}`,
      expected: 'one of them',
    })
  }
}

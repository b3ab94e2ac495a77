// Where a training's activations come from: captured from a model, or several, over token stores, or read from a cache.
import { resolve } from 'node:path'
import type { ContextSource, Forward, WindowSource } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import type { Lanes } from '@mistudio/tensor'
import { withCapture } from './capture_setup.ts'

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

export type TrainingSource = {
  windows: WindowSource
  modelName: string
  datasets: string[]
  origin: TrainingOrigin
}

/** What advice is measured with; absent for cached activations, which cost no pass of a model. */
export type Capture = { forward: Forward; contextsPerCall: number; source: ContextSource; parameters: number }

/**
 * Opens everything for as long as `work` runs.
 * @throws InputError when something does not exist or does not fit the rest: both are named
 */
export async function withTrainingSource<T>(
  options: TrainingOrigin & { lanes: Lanes },
  work: (source: TrainingSource, capture: Capture | undefined) => Promise<T>,
): Promise<T> {
  const { lanes, ...given } = options
  const origin = {
    ...given,
    models: given.models.map(dir => resolve(dir)),
    datasets: given.datasets.map(dir => resolve(dir)),
    cached: given.cached === null ? null : resolve(given.cached),
  }
  if (origin.cached !== null) return await fromCache({ lanes, origin, dir: origin.cached, work })
  if (origin.datasets.length === 0) {
    throw new InputError({
      message: 'there is nothing to train on',
      field: '--dataset',
      found: 'none',
      expected: 'token stores, or --cached with activations',
    })
  }
  const { captureWindows } = await import('@mistudio/capture')
  return await withCapture({ lanes, ...origin }, setup =>
    work(
      {
        windows: captureWindows({ lanes, ...setup }),
        modelName: setup.modelName,
        datasets: setup.datasets,
        origin,
      },
      setup,
    ),
  )
}

async function fromCache<T>(options: {
  lanes: Lanes
  origin: TrainingOrigin
  dir: string
  work: (source: TrainingSource, capture: undefined) => Promise<T>
}): Promise<T> {
  const { lanes, origin, dir, work } = options
  const { tokenizerFingerprint } = await import('@mistudio/corpus')
  const { modelFingerprint, openModel, openTokenizer } = await import('@mistudio/model')
  const { cachedWindows, checkCachedActivations, isSaeLensCache, openCachedActivations } = await import(
    '@mistudio/capture'
  )
  if (origin.datasets.length > 0 || origin.weights !== null) {
    throw new InputError({
      message: 'cached activations are of the datasets they were made from',
      field: '--cached and --dataset',
      found: `${dir} and ${[...origin.datasets, ...(origin.weights ?? [])].join(', ')}`,
      expected: 'one of them',
    })
  }
  const names: string[] = []
  for (const model of origin.models) {
    const opened = await openModel({ dir: model })
    names.push(opened.name)
    opened.weights.close()
  }
  const tokenizer = openTokenizer({ dir: origin.models[0] })
  // Our own caches hold no special tokens, SAELens's hold all.
  const cache = openCachedActivations({
    dir,
    ...(isSaeLensCache(dir) && { maskTokens: tokenizer.specialTokens }),
  })
  try {
    const fingerprint = origin.models.map(model => modelFingerprint({ dir: model })).join(' + ')
    const model = { name: names.join(' + '), fingerprint }
    checkCachedActivations({
      cache,
      hooks: origin.hooks,
      model,
      tokenizerFingerprint: tokenizerFingerprint(tokenizer),
    })
    const source = {
      windows: cachedWindows({ lanes, cache }),
      modelName: model.name,
      datasets: [...cache.datasets],
      origin,
    }
    return await work(source, undefined)
  } finally {
    cache.close()
  }
}

// What a training, a retry and a finalisation read: activations at all hook points of their SAEs, captured from models over
// the contexts of all datasets or read from a cache, opened for the length of some work.
import { type ActivationSource, withCapture } from '@mistudio/capture'
import { type WorkerPool, withWorkerPool } from '@mistudio/tensor'
import type { RunnerContext } from './context.ts'
import type { TrainSpec } from './spec.ts'

export type CaptureSpec = Pick<
  TrainSpec,
  'modelDirs' | 'cacheDir' | 'stores' | 'cached' | 'members' | 'hyperparameters' | 'datasetWeights'
>

export async function withActivations<T>(
  spec: CaptureSpec,
  { threads }: RunnerContext,
  work: (opened: { pool: WorkerPool; activations: ActivationSource }) => Promise<T>,
): Promise<T> {
  const {
    modelDirs: models,
    cacheDir,
    stores,
    cached,
    members,
    hyperparameters,
    datasetWeights: weights,
  } = spec
  const { seed, context_size: contextSize } = hyperparameters
  const hooks = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
  return await withWorkerPool({ threads }, pool =>
    withCapture(
      cached === undefined
        ? { pool, models, hooks, cacheDir, texts: { stores, weights, seed, contextSize } }
        : { pool, models, hooks, cached },
      ({ activations }) => work({ pool, activations }),
    ),
  )
}

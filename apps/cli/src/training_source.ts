// What training commands read: a model and token stores, opened and checked against each other, as windows of activations.
import { resolve } from 'node:path'
import type { TokenStore } from '@mistudio/corpus'
import type { WindowSource } from '@mistudio/sae'
import { InputError, type Lanes } from '@mistudio/tensor'
import { checkStore, contextsPerCall } from './engine.ts'

/** Where model and datasets lie and how they are read; part of a checkpoint, so that `sae finalise` finds them. */
export type TrainingOrigin = {
  model: string
  datasets: string[]
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

/**
 * Opens the model and the stores for as long as `work` runs.
 * @throws InputError when one does not exist, stores were made for another model, or their contexts differ in length
 */
export async function withTrainingSource<T>(
  options: TrainingOrigin & { lanes: Lanes },
  work: (source: TrainingSource) => Promise<T>,
): Promise<T> {
  const { openTokenStore } = await import('@mistudio/corpus')
  const { compileForward, openModel } = await import('@mistudio/model')
  const { captureWindows, shuffledContexts } = await import('@mistudio/sae')
  const { lanes, hooks, weights, seed } = options
  const model = await openModel({ dir: options.model })
  const stores: TokenStore[] = []
  try {
    for (const dir of options.datasets) stores.push(openTokenStore({ dir }))
    for (const store of stores) checkStore({ store, model })
    const contextSize = oneContextSize(stores)
    const perCall = contextsPerCall(contextSize)
    const splits = stores.map(store => store.split('train'))
    const source = shuffledContexts({ splits, contextSize, seed, weights })
    const forward = await compileForward({
      model,
      lanes,
      contextsPerCall: perCall,
      contextSize,
      captures: hooks,
    })
    try {
      return await work({
        windows: captureWindows({ lanes, forward, contextsPerCall: perCall, source }),
        modelName: model.name,
        datasets: stores.map(({ name }) => name),
        origin: {
          model: resolve(options.model),
          datasets: options.datasets.map(dir => resolve(dir)),
          hooks,
          weights,
          seed,
        },
      })
    } finally {
      await forward.close()
    }
  } finally {
    for (const store of stores) store.close()
  }
}

/** @throws InputError when the stores are cut into contexts of different lengths */
function oneContextSize(stores: readonly TokenStore[]): number {
  const [first] = stores
  for (const { contextSize, dir } of stores) {
    if (contextSize === first.contextSize) continue
    throw new InputError({
      message: 'the datasets are cut into contexts of different lengths',
      file: dir,
      field: 'context_size',
      found: String(contextSize),
      expected: `${first.contextSize}, as in ${first.dir}`,
    })
  }
  return first.contextSize
}

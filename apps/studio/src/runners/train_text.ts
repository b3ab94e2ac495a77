// What a training, a retry and a finalisation read: the model's capture at all hook points and the contexts of all
// datasets, opened for the length of some work.
import { join } from 'node:path'
import { type ContextSource, shuffledContexts } from '@mistudio/capture'
import { checkStoresAgree, openTokenStore, type TokenStore } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import { checkStore, compileForward, contextsPerCall, type Forward, openModel } from '@mistudio/model'
import { type Lanes, withLanes } from '@mistudio/tensor'
import type { RunnerContext } from './context.ts'
import type { TrainSpec } from './spec.ts'

export type TextSpec = Pick<
  TrainSpec,
  'modelDir' | 'cacheDir' | 'stores' | 'members' | 'hyperparameters' | 'datasetWeights'
>
export type OpenText = { lanes: Lanes; forward: Forward; contextsPerCall: number; source: ContextSource }

export async function withText<T>(
  spec: TextSpec,
  context: RunnerContext,
  work: (opened: OpenText) => Promise<T>,
): Promise<T> {
  const { modelDir, cacheDir, members, hyperparameters, datasetWeights: weights } = spec
  const { seed, context_size: contextSize } = hyperparameters
  const captures = [...new Set(members.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))]
  const model = await openModel({ dir: modelDir, cacheDir })
  const stores: TokenStore[] = []
  try {
    for (const dir of spec.stores) stores.push(openTokenStore({ dir }))
    for (const store of stores) {
      checkStore({ store, model })
      checkContextSize(store, contextSize)
    }
    checkStoresAgree(stores)
    const perCall = contextsPerCall(contextSize)
    return await withLanes({ threads: context.threads }, async lanes => {
      const forward = await compileForward({
        model,
        lanes,
        contextsPerCall: perCall,
        contextSize,
        captures,
      })
      try {
        const splits = stores.map(store => store.split('train'))
        const source = shuffledContexts({ splits, contextSize, seed, weights })
        return await work({ lanes, forward, contextsPerCall: perCall, source })
      } finally {
        await forward.close()
      }
    })
  } finally {
    for (const store of stores) store.close()
  }
}

function checkContextSize(store: TokenStore, contextSize: number): void {
  if (store.contextSize === contextSize) return
  throw new InputError({
    message: 'the dataset is cut into contexts of another length',
    file: join(store.dir, 'store.json'),
    field: 'context_size',
    found: String(store.contextSize),
    expected: `${contextSize}, as in the training's hyperparameters`,
  })
}

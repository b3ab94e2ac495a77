// What is captured: one model, or several over the same tokens, and token stores, opened and checked against each other
// and compiled to one forward pass.
import { existsSync } from 'node:fs'
import type { TokenStore } from '@mistudio/corpus'
import type { Forward as CompiledForward, LanguageModel } from '@mistudio/model'
import type { ContextSource, Forward } from '@mistudio/sae'
import { InputError, type Lanes } from '@mistudio/tensor'

export type CaptureSetup = {
  forward: Forward
  contextsPerCall: number
  source: ContextSource
  contextSize: number
  /** The names of several models joined. */
  modelName: string
  modelFingerprint: string
  tokenizerFingerprint: string
  /** Numbers in the weights of all models. */
  parameters: number
  datasets: string[]
}

/**
 * Opens models and stores for as long as `work` runs.
 * @param options.hooks with several models MODEL:HOOK (join_forwards.ts)
 * @param options.weights shares of the datasets; null: all of their contexts in one order
 * @throws InputError when one does not exist, or they do not fit each other: both are named
 */
export async function withCapture<T>(
  options: {
    lanes: Lanes
    models: readonly string[]
    datasets: readonly string[]
    hooks: readonly string[]
    weights: readonly number[] | null
    seed: number
  },
  work: (setup: CaptureSetup) => Promise<T>,
): Promise<T> {
  const { checkModelsAgree, checkStoresAgree, openTokenStore } = await import('@mistudio/corpus')
  const { checkStore, compileForward, contextsPerCall, modelFingerprint, openModel, openTokenizer } =
    await import('@mistudio/model')
  const { joinForwards, shuffledContexts, splitModelHooks } = await import('@mistudio/sae')
  const { lanes, datasets, weights, seed } = options
  const several = options.models.length > 1
  const captures = several
    ? splitModelHooks({ hooks: options.hooks, models: options.models.length })
    : [[...new Set(options.hooks)]]
  const stores: TokenStore[] = []
  const models: LanguageModel[] = []
  const forwards: CompiledForward[] = []
  try {
    for (const dir of options.models) models.push(await openModel({ dir }))
    if (several) checkModelsAgree(models.map(({ dir }) => ({ dir, tokenizer: openTokenizer({ dir }) })))
    for (const dir of datasets) stores.push(openTokenStore({ dir }))
    const contextSize = checkStoresAgree(stores)
    for (const store of stores) for (const model of models) checkStore({ store, model })
    const perCall = contextsPerCall(contextSize)
    const splits = stores.map(store => store.split('train'))
    const source = shuffledContexts({ splits, contextSize, seed, weights })
    for (const [m, model] of models.entries()) {
      const compile = { model, lanes, contextsPerCall: perCall, contextSize, captures: captures[m] }
      forwards.push(await compileForward(compile))
    }
    return await work({
      forward: several ? joinForwards({ forwards }) : forwards[0],
      contextsPerCall: perCall,
      source,
      contextSize,
      modelName: models.map(({ name }) => name).join(' + '),
      modelFingerprint: models.map(({ dir }) => modelFingerprint({ dir })).join(' + '),
      tokenizerFingerprint: stores[0].info.tokenizerFingerprint,
      parameters: models.reduce((sum, model) => sum + model.parameters, 0),
      datasets: stores.map(({ name }) => name),
    })
  } finally {
    for (const forward of forwards) await forward.close()
    for (const store of stores) store.close()
    for (const model of models) model.weights.close()
  }
}

/** `0.7,0.3` as numbers. @throws InputError; whether they can mix the datasets is judged where they are read */
export function datasetWeights(text: string | undefined): number[] | null {
  if (text === undefined) return null
  const weights = text.split(',').map(word => (word.trim() === '' ? Number.NaN : Number(word)))
  if (weights.every(Number.isFinite)) return weights
  throw new InputError({
    message: 'these weights cannot mix the datasets',
    field: '--dataset-weights',
    found: text,
    expected: 'numbers separated by commas, one for each --dataset',
  })
}

/** Folders of models: several words, or one with commas that is no folder itself. */
export const modelFolders = (words: readonly string[]): string[] =>
  words.flatMap(word => (existsSync(word) ? [word] : word.split(',')))

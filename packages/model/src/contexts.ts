// Contexts of a token store and the model that reads them: whether they fit, and how many go into one call.
import { InputError } from '@mistudio/files'
import type { LanguageModel } from './load.ts'

/** Tokens of one call of the model: large enough for a fast GEMM, small enough for the cache. */
const tokensPerCall = 1024

/** Contexts of one call of the model. */
export const contextsPerCall = (contextSize: number): number =>
  Math.max(1, Math.floor(tokensPerCall / contextSize))

/** @throws InputError if the store's contexts or token ids do not fit the model */
export function checkStore({
  store,
  model,
}: {
  store: { dir: string; contextSize: number; vocabSize: number }
  model: LanguageModel
}): void {
  const { nCtx, vocabSize } = model.config
  const fail = (field: string, found: number, expected: string) => {
    throw new InputError({
      message: `the dataset does not fit the model ${model.name}`,
      file: store.dir,
      field,
      found: String(found),
      expected,
    })
  }
  if (store.contextSize > nCtx)
    fail('context_size', store.contextSize, `at most ${nCtx}, the model's context`)
  if (store.vocabSize > vocabSize)
    fail('vocab_size', store.vocabSize, `at most ${vocabSize}, the model's vocabulary`)
}

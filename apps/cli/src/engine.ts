// What the jobs share: lanes that are always closed, and token stores that fit the model.
import type { LanguageModel } from '@mistudio/model'
import { InputError, type Lanes, openLanes } from '@mistudio/tensor'

/** Opens the lanes, runs `use` and closes them, also when it fails: a job's thread ends only without lanes. */
export async function withLanes<R>(
  { threads }: { threads: number | undefined },
  use: (lanes: Lanes) => Promise<R>,
): Promise<R> {
  const lanes = await openLanes({ count: threads })
  try {
    return await use(lanes)
  } finally {
    await lanes.close()
  }
}

/** Tokens of one call of the model: large enough for a fast GEMM, small enough for the cache. */
const tokensPerCall = 1024

/** Contexts of one call of the model. */
export const contextsPerCall = (contextSize: number): number =>
  Math.max(1, Math.floor(tokensPerCall / contextSize))

/** @throws InputError when the store's contexts or token ids do not fit the model */
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

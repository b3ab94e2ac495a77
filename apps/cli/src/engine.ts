// What the jobs share: lanes that are always closed, and token stores that fit the model.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
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

/**
 * The SAE's own folder: the one given, or the only SAE of a training's folder.
 * @throws InputError that lists the SAEs where there are several
 */
export function saeFolder(dir: string): string {
  if (existsSync(join(dir, 'cfg.json'))) return dir
  const folders = statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(dir) : []
  const found = folders.filter(name => existsSync(join(dir, name, 'cfg.json')))
  if (found.length === 1) return join(dir, found[0])
  throw new InputError({
    message: found.length === 0 ? 'there is no SAE here' : 'this folder holds several SAEs',
    file: dir,
    field: '--sae',
    found: found.length === 0 ? 'no cfg.json' : found.join(', '),
    expected: found.length === 0 ? 'a folder with cfg.json and sae_weights.safetensors' : 'the folder of one',
  })
}

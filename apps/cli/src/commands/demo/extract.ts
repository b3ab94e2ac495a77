// The demo's extraction: the features of all SAEs from one pass over the training text.
import { existsSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { withCapture } from '@mistudio/capture'
import { createProgressBoard, extractFeatures, inputHooks, readExtractionInfo } from '@mistudio/feature'
import { writeFileAtomic } from '@mistudio/files'
import { loadSae } from '@mistudio/sae'
import { recipe } from './recipe.ts'
import type { DemoExtraction } from './result.ts'
import { checkStop, madeFrom, type Stage, Stopped, saeDir, weightsHash } from './stage.ts'

export async function extract(stage: Stage): Promise<DemoExtraction[]> {
  const { dir, spec, pool, place, context } = stage
  const outOf = (hook: string) => join(dir, 'extractions', hook)
  const recordOf = (hook: string) => join(dir, 'extractions', `${hook}.json`)
  const hashes = new Map(recipe.hooks.map(hook => [hook, weightsHash(saeDir(dir, hook))]))
  const missing = recipe.hooks.filter(
    hook => madeFrom(recordOf(hook)).sae_sha256 !== hashes.get(hook) || !existsSync(outOf(hook)),
  )
  if (missing.length > 0) {
    checkStop(context)
    mkdirSync(join(dir, 'extractions'), { recursive: true })
    // Watched by the command's monitor on the main thread, while this one computes and writes.
    const board = createProgressBoard({ buffer: context.board })
    const saes = missing.map(hook => ({ sae: loadSae({ dir: saeDir(dir, hook) }), out: outOf(hook) }))
    const hooks = inputHooks(saes.map(({ sae }) => sae))
    const texts = { stores: place.stores }
    const summaries = await withCapture({ pool, ...place, hooks, texts, tokenizer: true }, capture =>
      extractFeatures({
        pool,
        capture,
        split: 'train',
        saes,
        maxTokens: recipe.extractionTokens,
        seed: spec.seed,
        board,
        signal: context.signal,
      }),
    )
    if (summaries.some(({ complete }) => !complete)) throw new Stopped()
    for (const hook of missing)
      writeFileAtomic(recordOf(hook), `${JSON.stringify({ sae_sha256: hashes.get(hook) })}\n`)
  }
  return recipe.hooks.map(hook => {
    const { featuresAlive } = readExtractionInfo({ dir: outOf(hook) })
    return { path: outOf(hook), hook_point: basename(outOf(hook)), features: featuresAlive }
  })
}

// The demo's evaluation of all SAEs on held-out documents: each SAE's figures are measured once for its weights.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openModelTexts, shuffledContexts } from '@mistudio/capture'
import { type Evaluation, evaluateSaes, openEvaluation } from '@mistudio/evaluation'
import { writeFileAtomic } from '@mistudio/files'
import { loadSae } from '@mistudio/sae'
import { recipe } from './recipe.ts'
import { checkStop, madeFrom, type Stage, saeDir, weightsHash } from './stage.ts'

/** @returns the figures of each SAE by its hook point */
export async function evaluate({ dir, pool, place, context }: Stage): Promise<Record<string, Evaluation>> {
  const { contextSize, hooks } = recipe
  const fileOf = (hook: string) => join(dir, 'evaluations', `${hook}.json`)
  const result: Record<string, Evaluation> = {}
  for (const hook of hooks) {
    const { sae_sha256: made, ...evaluation } = madeFrom(fileOf(hook))
    if (made === weightsHash(saeDir(dir, hook))) result[hook] = evaluation as Evaluation
  }
  const missing = hooks.filter(hook => result[hook] === undefined)
  if (missing.length === 0) return result
  checkStop(context)
  const texts = await openModelTexts(place)
  try {
    const [model] = texts.models
    const saes = missing.map(hook => ({ sae: loadSae({ dir: saeDir(dir, hook) }) }))
    const opened = await openEvaluation({ model, pool, contextSize, saes })
    const splits = texts.stores.map(store => store.split('held_out'))
    const measured = await evaluateSaes({
      ...opened,
      pool,
      source: shuffledContexts({ splits, contextSize, seed: 0 }),
      split: 'held_out',
      ...recipe.evaluation,
      stopped: context.signal.stopped,
      onProgress: (done, total) =>
        context.progress({ stage: 'evaluating on held-out documents', done, total, unit: 'contexts' }),
    })
    await opened.close()
    checkStop(context)
    mkdirSync(join(dir, 'evaluations'), { recursive: true })
    missing.forEach((hook, i) => {
      const { sums: _, ...evaluation } = measured[i]
      result[hook] = evaluation
      const record = { sae_sha256: weightsHash(saeDir(dir, hook)), ...evaluation }
      writeFileAtomic(fileOf(hook), `${JSON.stringify(record, null, 2)}\n`)
    })
  } finally {
    texts.close()
  }
  return result
}

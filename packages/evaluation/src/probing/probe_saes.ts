// Probing and absorption of finished SAEs on a model: the tasks' contexts run once for all of them.
import { compileForward, contextsPerCall, type LanguageModel } from '@mistudio/model'
import { createEncoder, type Encoder, outputsAreInputs, type Sae } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { type AbsorptionReport, absorption } from './absorption.ts'
import { type Collected, collectUnits } from './collect.ts'
import { type ProbingReport, probe } from './probing.ts'
import type { ProbeTask, WordPrompts } from './tasks.ts'

export type ProbedSae = {
  probing: ProbingReport[]
  /** null if not requested or not applicable; needs an SAE that reads and writes the same hook point. */
  absorption: (AbsorptionReport & { icl_examples: number }) | null
}

export async function probeSaes(options: {
  pool: WorkerPool
  model: LanguageModel
  contextSize: number
  saes: readonly Omit<Sae, 'family'>[]
  tasks: readonly ProbeTask[]
  words?: WordPrompts
  seed: number
  onProgress?: (done: number, total: number) => void
  stopped?: () => boolean
}): Promise<ProbedSae[]> {
  const { pool, model, contextSize, saes, tasks, words, seed, onProgress, stopped } = options
  const hooks = new Set(saes.flatMap(sae => sae.hooks.inputs.map(({ hook }) => hook)))
  const perCall = contextsPerCall(contextSize)
  const prefix = await compileForward({
    model,
    pool,
    contextsPerCall: perCall,
    contextSize,
    captures: [...hooks],
  })
  const encoders: Encoder[] = []
  const result: ProbedSae[] = saes.map(() => ({ probing: [], absorption: null }))
  const parts = tasks.length + (words === undefined ? 0 : 1)
  const collect = (contexts: ProbeTask['contexts']) =>
    collectUnits({
      pool,
      prefix,
      contextsPerCall: perCall,
      contextSize,
      encoders,
      contexts: contexts.length,
      stopped,
      read(first, count, ids) {
        for (let c = 0; c < count; c++) ids.set(contexts[first + c].ids, c * contextSize)
      },
      unitsOf: context => contexts[context].units,
    })
  try {
    for (const sae of saes) encoders.push(await createEncoder({ pool, sae }))
    for (const [t, { task, contexts }] of tasks.entries()) {
      const units = contexts.flatMap(context => context.units)
      const collected = await collect(contexts)
      if (stopped?.()) break
      saes.forEach((sae, s) => {
        const examples = collected[s].map((unit, i) => ({ ...units[i], ...unit }))
        result[s].probing.push(probe({ task, examples, dSae: sae.shape.dSae, seed }))
      })
      onProgress?.(t + 1, parts)
    }
    if (words !== undefined && !stopped?.()) {
      const collected = await collect(words.contexts)
      saes.forEach((sae, s) => {
        if (stopped?.()) return
        result[s].absorption = absorptionOf(sae, collected[s], words)
      })
      onProgress?.(parts, parts)
    }
  } finally {
    for (const encoder of encoders) await encoder.close()
    await prefix.close()
  }
  return result
}

function absorptionOf(
  sae: Omit<Sae, 'family'>,
  collected: readonly Collected[],
  prompts: WordPrompts,
): ProbedSae['absorption'] {
  if (!outputsAreInputs(sae.hooks) || sae.hooks.inputs.length !== 1) return null
  const words = collected.map((unit, i) => ({
    ...unit,
    word: prompts.words[i],
    letter: prompts.contexts[i].units[0].label,
    train: prompts.train[i],
  }))
  const report = absorption({ words, decoder: sae.weights.wDec, d: sae.shape.dOut })
  return { ...report, icl_examples: prompts.iclExamples }
}

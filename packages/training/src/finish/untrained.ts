// An untrained SAE, as a family initialises it: for tests and benches that need one of a given shape, in memory
// or on disk.

import { type SaeWeights, saveSae } from '@mistudio/sae'
import type { Settings } from '../fields.ts'
import { type CompleteMember, completeMember } from '../member.ts'
import { initialWeights } from '../start/initial_weights.ts'
import { finaliseSae } from './finalise.ts'

export type Untrained = { member: CompleteMember; weights: SaeWeights }

/** Initial weights of one hook point's SAE, as a training draws them from the seed. */
export function untrainedSae(options: {
  family?: string
  dIn: number
  dSae: number
  hook?: string
  settings?: Settings
  seed?: number
}): Untrained {
  const { family = 'topk', dIn, dSae, hook = 'hook', settings = {}, seed = 0 } = options
  const member = completeMember({
    member: { name: hook, family, inputs: [hook], outputs: [], dSae, settings },
    widthOf: () => dIn,
    batchSize: 1024,
    totalSteps: 1000,
    trainTokens: 1_024_000,
  })
  const { plan, config } = member
  return { member, weights: initialWeights({ plan, config, settings: member.settings, seed }) }
}

/** Writes an untrained TopK SAE; `weights` instead of those drawn. */
export async function saveUntrained(options: {
  dir: string
  dIn: number
  dSae: number
  k: number
  hookPoint: string
  modelName: string
  contextSize: number
  weights?: SaeWeights
}): Promise<void> {
  const { dir, dIn, dSae, k, hookPoint, modelName, contextSize } = options
  const { member, weights } = untrainedSae({ dIn, dSae, hook: hookPoint, settings: { k } })
  const sae = finaliseSae({
    family: 'topk',
    plan: member.plan,
    weights: options.weights ?? weights,
    normalisers: { inputs: [{ kind: 'none' }], outputs: [{ kind: 'none' }] },
    hooks: member.hooks,
  })
  await saveSae({ dir, sae, metadata: { modelName, contextSize } })
}

// Saves what the first learner trained: a TopK SAE with the scalar of its normalisation folded in.

import { finaliseSae } from '../finalise.ts'
import { saveSae } from '../formats/saelens.ts'
import { basePlan } from '../plan.ts'
import type { SaeShape, SaeWeights } from './families.ts'

export async function saveTopK(options: {
  dir: string
  shape: SaeShape
  k: number
  weights: SaeWeights
  scale: number
  metadata: Omit<Parameters<typeof saveSae>[0]['metadata'], 'training'> & { hookPoint: string }
}): Promise<void> {
  const { dir, k, weights, scale } = options
  const { hookPoint, ...metadata } = options.metadata
  const shape = { ...options.shape, dOut: options.shape.dIn }
  const span = { hook: hookPoint, width: shape.dIn }
  const normaliser = scale === 1 ? ({ kind: 'none' } as const) : ({ kind: 'scale', scale } as const)
  const sae = finaliseSae({
    family: 'topk',
    plan: {
      ...basePlan(shape),
      centred: true,
      skip: false,
      selection: { kind: 'topk', k, score: 'raw' },
      penalty: null,
      preAct: null,
      auxK: null,
      decoder: 'unit',
      deadAfterTokens: 1,
    },
    weights,
    normalisers: { inputs: [normaliser], outputs: [normaliser] },
    hooks: { inputs: [span], outputs: [span] },
  })
  await saveSae({ dir, sae, metadata })
}

// The cases of oracle/family_losses.py as plans: the formulas there are the papers', written without plans.

import type { SaeShape } from '@mistudio/sae'
import type { Level, Plan } from '../src/plan.ts'
import { plainPlan } from './example_plans.ts'

const square: SaeShape = { dIn: 6, dSae: 20, dOut: 6 }
const narrow: SaeShape = { dIn: 6, dSae: 20, dOut: 5 }
const l1 = { kind: 'l1', coefficient: 0.3 } as const
const l0 = { kind: 'l0', coefficient: 0.3 } as const
const tanh = { kind: 'tanh', coefficient: 0.3, scale: 4, normWeighted: true } as const
const topk = { kind: 'topk', k: 3, score: 'raw' } as const
const batchtopk = { kind: 'batchtopk', k: 3, score: 'raw', thresholdDecay: 0.99 } as const
const normed = { score: 'normed' } as const
const jumprelu = { kind: 'jumprelu', bandwidth: 0.5, steToInput: false } as const
const auxVariance = {
  coefficient: 1 / 32,
  kAux: 3,
  normalisation: 'variance',
  relu: true,
  scaleByDead: false,
} as const
const auxScaled = { coefficient: 1, kAux: 3, normalisation: 'none', relu: false, scaleByDead: true } as const
const preAct = { coefficient: 0.05 }
const levels = (...weights: number[]): Level[] =>
  [5, 12, 20].map((width, l) => ({ width, weight: weights[l] }))
const unit = { centred: true, decoder: 'unit' } as const

const changes: Record<string, Partial<Plan>> = {
  standard_free: { penalty: { ...l1, normWeighted: true } },
  standard_unit: { ...unit, penalty: { ...l1, normWeighted: false } },
  p_anneal: { ...unit, penalty: { kind: 'lp', coefficient: 0.3, normWeighted: false } },
  gated_paper: {
    ...unit,
    selection: { kind: 'gated', frozenDecoder: true },
    penalty: { ...l1, normWeighted: false },
  },
  gated_saelens: {
    selection: { kind: 'gated', frozenDecoder: false },
    penalty: { ...l1, normWeighted: true },
  },
  topk: { ...unit, selection: topk, auxK: auxVariance },
  topk_normed: { selection: { ...topk, ...normed }, auxK: auxScaled },
  batchtopk: { ...unit, selection: batchtopk, auxK: auxVariance },
  batchtopk_normed: { selection: { ...batchtopk, ...normed }, auxK: auxScaled },
  matryoshka: { ...unit, selection: batchtopk, levels: levels(1, 0.5, 2), auxK: auxVariance },
  matryoshka_normed: {
    selection: { ...batchtopk, ...normed },
    levels: levels(1, 1, 1),
    auxK: auxScaled,
  },
  jumprelu_step: { decoder: 'unit', selection: jumprelu, penalty: l0 },
  jumprelu_step_to_input: { centred: true, selection: { ...jumprelu, steToInput: true }, penalty: l0 },
  jumprelu_target: { selection: jumprelu, penalty: { kind: 'target_l0', coefficient: 0.3, target: 4 } },
  jumprelu_tanh: { selection: jumprelu, penalty: tanh, preAct: { ...preAct, on: 'dead' } },
  jumprelu_anthropic: {
    selection: { ...jumprelu, steToInput: true },
    penalty: tanh,
    preAct: { ...preAct, on: 'all' },
  },
  transcoder: { shape: narrow, selection: topk, auxK: auxVariance },
  skip_transcoder: { shape: narrow, skip: true, selection: topk, auxK: auxScaled },
  transcoder_plain: { shape: narrow, selection: topk },
  skip_transcoder_plain: { shape: narrow, skip: true, selection: topk },
  crosscoder: {
    penalty: { ...l1, normWeighted: true },
    normSegments: [
      [0, 3],
      [3, 6],
    ],
  },
  cross_layer: {
    shape: narrow,
    groups: [
      { latents: [0, 12], input: [0, 3], output: [0, 5] },
      { latents: [12, 20], input: [3, 6], output: [3, 5] },
    ],
    selection: { ...jumprelu, steToInput: true },
    penalty: tanh,
    preAct: { ...preAct, on: 'all' },
  },
}

export const goldenPlans: readonly (readonly [name: string, plan: Plan])[] = Object.entries(changes).map(
  ([name, change]) => [name, { ...plainPlan(change.shape ?? square), ...change }] as const,
)

/** Cases whose peer computes in float32 where ours does not (oracle/family_peers.py says where). */
export const float32Peers: Readonly<Record<string, readonly string[]>> = {
  dictionary_learning: ['topk', 'batchtopk', 'matryoshka', 'jumprelu_target'],
  saelens: ['jumprelu_step', 'jumprelu_step_to_input', 'jumprelu_tanh', 'jumprelu_anthropic'],
  sparsify: [],
}

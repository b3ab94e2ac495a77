// Plans for tests: every selection, penalty, auxiliary term, level, skip and group, each at least once, by hand, so
// that the judge does not depend on what a family makes of its fields.

import type { SaeShape } from '@mistudio/sae'
import { basePlan, type Dynamics, type Plan, steadyDynamics } from '../src/plan.ts'

export type Example = { name: string; plan: Plan; dynamics: Dynamics }

const square: SaeShape = { dIn: 6, dSae: 14, dOut: 6 }
const oblong: SaeShape = { dIn: 6, dSae: 14, dOut: 5 }

/** An uncentred ReLU plan without penalty and with free norms. */
export const plainPlan = (shape: SaeShape): Plan => ({
  ...basePlan(shape),
  centred: false,
  skip: false,
  selection: { kind: 'relu' },
  penalty: null,
  preAct: null,
  auxK: null,
  decoder: 'free',
  deadAfterTokens: 1000,
})

const l1 = { kind: 'l1', coefficient: 0.3 } as const
const tanh = { kind: 'tanh', coefficient: 0.5, scale: 4, normWeighted: true } as const
const topk = { kind: 'topk', k: 3, score: 'raw' } as const
const batchtopk = { kind: 'batchtopk', k: 3, score: 'raw', thresholdDecay: 0.9 } as const
const jumprelu = { kind: 'jumprelu', bandwidth: 0.4, steToInput: false } as const
const auxOfDictionaryLearning = {
  coefficient: 0.5,
  kAux: 3,
  normalisation: 'variance',
  relu: true,
  scaleByDead: false,
} as const
const auxOfSaeLens = {
  coefficient: 1,
  kAux: 8,
  normalisation: 'none',
  relu: false,
  scaleByDead: true,
} as const
const nested = [
  { width: 4, weight: 1 },
  { width: 9, weight: 0.5 },
  { width: 14, weight: 2 },
]

/** Two layers in, three out: the first encoder's latents write to all, the second's to the later two. */
const crossLayer: Pick<Plan, 'shape' | 'groups' | 'normSegments'> = {
  shape: { dIn: 6, dSae: 14, dOut: 9 },
  groups: [
    { latents: [0, 8], input: [0, 3], output: [0, 9] },
    { latents: [8, 14], input: [3, 6], output: [3, 9] },
  ],
  normSegments: [
    [0, 3],
    [3, 6],
    [6, 9],
  ],
}

const changes: Record<string, Partial<Plan> & { shape?: SaeShape }> = {
  'relu, l1 with norms': { penalty: { ...l1, normWeighted: true } },
  'relu, l1 without norms, unit': { centred: true, decoder: 'unit', penalty: { ...l1, normWeighted: false } },
  'relu, lp with norms': { penalty: { kind: 'lp', coefficient: 0.3, normWeighted: true } },
  'relu, lp without norms, unit': {
    centred: true,
    decoder: 'unit',
    penalty: { kind: 'lp', coefficient: 0.3, normWeighted: false },
  },
  'relu, tanh': { penalty: tanh },
  'gated of the paper': {
    centred: true,
    decoder: 'unit',
    selection: { kind: 'gated', frozenDecoder: true },
    penalty: { ...l1, normWeighted: false },
  },
  'gated of SAELens': {
    selection: { kind: 'gated', frozenDecoder: false },
    penalty: { ...l1, normWeighted: true },
  },
  topk: { centred: true, decoder: 'unit', selection: topk },
  'topk, AuxK of dictionary_learning': {
    centred: true,
    decoder: 'unit',
    selection: topk,
    auxK: auxOfDictionaryLearning,
  },
  'topk, normed score, AuxK of SAELens': {
    centred: true,
    selection: { ...topk, score: 'normed' },
    auxK: auxOfSaeLens,
  },
  'batchtopk, AuxK of dictionary_learning': {
    centred: true,
    decoder: 'unit',
    selection: batchtopk,
    auxK: auxOfDictionaryLearning,
  },
  'batchtopk, normed score, AuxK of SAELens': {
    selection: { ...batchtopk, score: 'normed' },
    auxK: auxOfSaeLens,
  },
  'matryoshka, AuxK': {
    centred: true,
    decoder: 'unit',
    selection: batchtopk,
    levels: nested,
    auxK: auxOfDictionaryLearning,
  },
  'jumprelu, l0': { decoder: 'unit', selection: jumprelu, penalty: { kind: 'l0', coefficient: 0.2 } },
  'jumprelu, l0, estimators to all': {
    centred: true,
    selection: { ...jumprelu, steToInput: true },
    penalty: { kind: 'l0', coefficient: 0.2 },
  },
  'jumprelu, target l0': {
    selection: jumprelu,
    penalty: { kind: 'target_l0', coefficient: 0.7, target: 2 },
  },
  'jumprelu, target l0, estimators to all': {
    selection: { ...jumprelu, steToInput: true },
    penalty: { kind: 'target_l0', coefficient: 0.7, target: 2 },
  },
  'jumprelu, tanh, pre-act on all': {
    selection: { ...jumprelu, steToInput: true },
    penalty: tanh,
    preAct: { coefficient: 0.1, on: 'all' },
  },
  'jumprelu, tanh, pre-act on dead': {
    selection: jumprelu,
    penalty: tanh,
    preAct: { coefficient: 0.1, on: 'dead' },
  },
  'jumprelu, levels and AuxK': {
    selection: jumprelu,
    penalty: { kind: 'l0', coefficient: 0.2 },
    levels: nested,
    auxK: auxOfSaeLens,
  },
  'transcoder, topk': { shape: oblong, selection: topk, auxK: auxOfSaeLens },
  'skip transcoder, topk': { shape: oblong, skip: true, selection: topk, auxK: auxOfDictionaryLearning },
  'skip transcoder, relu': { shape: oblong, skip: true, penalty: { ...l1, normWeighted: true } },
  'crosscoder, l1': {
    penalty: { ...l1, normWeighted: true },
    normSegments: [
      [0, 2],
      [2, 6],
    ],
  },
  'crosscoder, batchtopk': {
    selection: { ...batchtopk, score: 'normed' },
    auxK: auxOfDictionaryLearning,
    normSegments: [
      [0, 2],
      [2, 6],
    ],
  },
  'cross-layer, jumprelu': {
    ...crossLayer,
    selection: { ...jumprelu, steToInput: true },
    penalty: tanh,
    preAct: { coefficient: 0.1, on: 'all' },
  },
  'cross-layer, batchtopk': { ...crossLayer, selection: batchtopk, auxK: auxOfSaeLens },
  'cross-layer, relu, levels': { ...crossLayer, penalty: { ...l1, normWeighted: true }, levels: nested },
}

export const examples: Example[] = Object.entries(changes).map(([name, change]) => ({
  name,
  plan: { ...plainPlan(change.shape ?? square), ...change },
  dynamics: { ...steadyDynamics, sparsity: 0.8, p: 0.7 },
}))

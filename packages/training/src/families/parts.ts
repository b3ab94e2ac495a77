// Settings that several families have: the decoder's norms, the subtraction of b_dec, k, AuxK, the EMA threshold and the
// annealing of k, and what they mean in a plan.

import type { FamilyContext, MemberConfig } from '../family.ts'
import { type ConfigOf, fieldTable } from '../fields.ts'
import type { AuxK, Dynamics } from '../plan.ts'
import { atMostLatents, completeShared, rateByWidth, unitNotZero } from './shared.ts'

export const freeOrUnit = {
  kind: 'choice',
  label: 'Decoder norms',
  choices: ['free', 'unit'],
  help:
    'free: W_dec rows have any norm, which the penalty includes and which is folded away at the end; unit: rows keep norm 1 ' +
    '(the parallel part of the gradient is removed and rows are renormalised after every step).',
} as const

export const subtractBDec = {
  kind: 'flag',
  label: 'Subtract b_dec',
  help: 'The encoder reads x − b_dec; otherwise x.',
} as const

export const kField = {
  kind: 'integer',
  label: 'k',
  default: 32,
  min: 1,
  max: 65_536,
  unit: 'latents per token',
  source: 'Gao et al. 2024 (arXiv 2406.04093) and sparsify use 32',
} as const

export const annealFields = fieldTable({
  kStart: {
    kind: 'integer',
    label: 'k at the start',
    default: null,
    min: 1,
    max: 65_536,
    unit: 'latents per token',
    help: 'k falls linearly from this to k over k_anneal_steps.',
    chosen: 'k: no annealing',
    source: 'dictionary_learning (k annealing), sparsify k_decay_steps',
  },
  kAnnealSteps: {
    kind: 'integer',
    label: 'k annealing',
    default: 0,
    min: 0,
    unit: 'steps',
    help: 'Steps over which k falls from k_start to k; 0 uses k from the first step.',
    source: 'sparsify k_decay_steps 0',
  },
} as const)

export const scoreField = {
  kind: 'choice',
  label: 'Ranked by',
  choices: ['raw', 'normed'],
  help: 'raw: the pre-activation π; normed: π·‖d‖, as SAELens does with rescale_acts_by_decoder_norm.',
} as const

export const thresholdDecay = {
  kind: 'number',
  label: 'Threshold decay',
  default: 0.99,
  min: 0,
  max: 0.999999,
  help:
    'Weight of the old value of the running threshold in each step; the rest is the smallest positive activation ' +
    'kept. A threshold is also calibrated at the end, and both are stored.',
  source: 'SAELens topk_threshold_lr 0.01; dictionary_learning 0.999',
} as const

export const auxFields = fieldTable({
  auxCoefficient: {
    kind: 'number',
    label: 'AuxK weight',
    default: 1 / 32,
    min: 0,
    help: 'Weight of the loss that trains dead latents to reconstruct what the others miss; 0 for none.',
    source: 'Gao et al. 2024, appendix A.2, and dictionary_learning 1/32; SAELens 1',
  },
  kAux: {
    kind: 'integer',
    label: 'k of AuxK',
    default: null,
    min: 1,
    unit: 'latents per token',
    help: 'Dead latents used per token.',
    chosen: 'half the width of a reconstructed hook point',
    source: 'Gao et al. 2024, appendix B.1; the same in SAELens, dictionary_learning and sparsify',
  },
  auxNormalisation: {
    kind: 'choice',
    label: 'AuxK over',
    default: 'variance',
    choices: ['variance', 'none'],
    help: 'variance: the error of AuxK is divided by the variance of the residual; none: it is not (SAELens).',
    source: 'OpenAI and dictionary_learning: variance',
  },
  auxRelu: {
    kind: 'flag',
    label: 'ReLU in AuxK',
    default: true,
    help: 'AuxK reads activations after the ReLU; otherwise raw pre-activations, which may be negative (SAELens).',
    source: 'OpenAI and dictionary_learning: after the ReLU',
  },
  auxScaleByDead: {
    kind: 'flag',
    label: 'Scale AuxK by dead latents',
    default: false,
    help: 'Multiplies AuxK by min(dead latents / k_aux, 1).',
    source: 'SAELens and sparsify do; dictionary_learning does not',
  },
} as const)
type AuxConfig = ConfigOf<typeof auxFields>

/** Chooses k_aux. `width`: of the reconstructed hook point. */
export function completeAux<C extends AuxConfig>(config: C, width: number): C {
  return { ...config, kAux: config.kAux ?? Math.max(1, Math.floor(width / 2)) }
}

/** null if AuxK has no weight. */
export const auxPlan = (config: AuxConfig): AuxK | null =>
  config.auxCoefficient === 0
    ? null
    : {
        coefficient: config.auxCoefficient,
        kAux: config.kAux!,
        normalisation: config.auxNormalisation,
        relu: config.auxRelu,
        scaleByDead: config.auxScaleByDead,
      }

/** `k` is set once the family has completed it. */
type KConfig = { k: number | null } & ConfigOf<typeof annealFields>

/** @throws InputError when k or k_start exceeds d_sae */
export function completeK<C extends KConfig>(config: C, context: FamilyContext): C {
  const k = config.k!
  atMostLatents('k', k, context)
  const kStart = config.kStart ?? k
  atMostLatents('k_start', kStart, context)
  return { ...config, kStart }
}

/** The defaults of families that select k latents of one hook point. @throws InputError as its parts do */
export function completeSelecting<C extends KConfig & AuxConfig & { decoder: string }>(
  config: C,
  member: MemberConfig,
  context: FamilyContext,
): { config: C; member: MemberConfig } {
  unitNotZero(config.decoder, member)
  const { dSae, dOut } = context.shape
  return {
    config: completeAux(completeK(config, context), dOut),
    member: completeShared({ member, context, rate: rateByWidth(dSae), sparsityWarmUpSteps: 0 }),
  }
}

/** The largest k of a run, where it is not k. */
export const mostK = ({ k, kStart, kAnnealSteps }: KConfig): { mostK?: number } =>
  k === null || kStart === null || kAnnealSteps === 0 || kStart <= k ? {} : { mostK: kStart }

/** The k of a step; nothing if it does not change. */
export function annealedK(config: KConfig, step: number): Pick<Dynamics, 'k'> {
  const { k, kStart, kAnnealSteps } = config
  if (k === null || kStart === null || kStart === k || kAnnealSteps === 0) return {}
  const done = Math.min(1, step / kAnnealSteps)
  return { k: Math.max(1, Math.round(kStart + (k - kStart) * done)) }
}

/** Linear rise from 1/steps in the first step to 1, as SAELens counts. */
export const warmedUp = (step: number, steps: number | null): number =>
  steps === null || steps === 0 ? 1 : Math.min(1, (step + 1) / steps)

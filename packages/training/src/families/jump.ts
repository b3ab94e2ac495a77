// JumpReLU as several families use it: the three sparsity losses, the estimator's width, the initial thresholds and
// the pre-activation loss. Gemma Scope trains with E‖x‖² = 1, Anthropic with E‖x‖ = √d; their numbers are converted to
// the scale of the activations: lengths (θ, ε) as E‖x‖, the weight of an L0, which is weighed against a squared error,
// as its square. The scale still matters: Adam moves a threshold by at most the rate, which is √d times as far at 1.

import type { FamilyContext } from '../family.ts'
import { type ConfigOf, fieldTable } from '../fields.ts'
import type { Penalty, PreActLoss, Selection } from '../plan.ts'
import { atMostLatents, contradiction, scaleText, shareOfRun } from './shared.ts'

const sparsityLosses = ['l0', 'tanh', 'target_l0'] as const

export const jumpFields = fieldTable({
  sparsityLoss: {
    kind: 'choice',
    label: 'Sparsity loss',
    default: 'l0',
    choices: sparsityLosses,
    help:
      'l0: λ·L0; tanh: λ·Σ tanh(c·f·‖d‖), which reaches weights everywhere; target_l0: λ·(L0/target − 1)². L0 has a ' +
      'gradient through the straight-through estimator alone.',
    source:
      'l0: Rajamanoharan et al. 2024 (arXiv 2407.14435); tanh: Anthropic, January 2025; target_l0: dictionary_learning',
  },
  targetL0: {
    kind: 'number',
    label: 'Target L0',
    default: null,
    above: 0,
    unit: 'latents per token',
    help: 'The L0 to aim for; for sparsity_loss target_l0 only.',
    chosen: 'the smaller of 20 and d_sae',
    source: 'dictionary_learning JumpReluTrainer 20',
  },
  bandwidth: {
    kind: 'number',
    label: 'Bandwidth ε',
    default: null,
    above: 0,
    help: 'Width of the rectangle of the straight-through estimator, in units of the normalised activations.',
    chosen: `0.001·s for l0 and target_l0, 2·s/√d_in for tanh; ${scaleText}`,
    source: 'Gemma Scope 0.001 (arXiv 2408.05147) at s = 1; Anthropic, January 2025: 2 at s = √d',
  },
  initialThreshold: {
    kind: 'number',
    label: 'Initial threshold θ',
    default: null,
    above: 0,
    help: 'Every threshold starts here.',
    chosen: `0.001·s for l0 and target_l0, 0.1·s/√d_in for tanh; ${scaleText}`,
    source: 'Gemma Scope 0.001 (arXiv 2408.05147) at s = 1; Anthropic, January 2025: 0.1 at s = √d',
  },
  tanhScale: {
    kind: 'number',
    label: 'Scale c of tanh',
    default: null,
    above: 0,
    help: 'tanh(c·f·‖d‖) is close to 1 for activations above 1/c.',
    chosen: `4·√d_in/s; ${scaleText}`,
    source: 'Anthropic, January 2025, and SAELens jumprelu_tanh_scale: 4 at s = √d',
  },
  steToInput: {
    kind: 'flag',
    label: 'Gradient to pre-activations',
    default: false,
    help: 'Lets the straight-through gradient flow to the pre-activations as well as the thresholds.',
    source: 'Rajamanoharan et al. 2024 and SAELens: no; Anthropic, January 2025: yes',
  },
  preActCoefficient: {
    kind: 'number',
    label: 'Pre-activation loss',
    default: null,
    min: 0,
    help: 'Weight of Σ ReLU(θ − π)·‖d‖, which gives latents that do not fire a gradient; 0 for none.',
    chosen: '3e-6 for tanh, otherwise 0',
    source: 'Anthropic, January 2025: 3e-6',
  },
  preActOn: {
    kind: 'choice',
    label: 'Pre-activation loss on',
    default: 'all',
    choices: ['all', 'dead'],
    help: 'all latents, or only dead ones.',
    source: 'Anthropic, January 2025: all; SAELens: dead',
  },
} as const)
export type JumpConfig = ConfigOf<typeof jumpFields>

export const jumpCoefficientText = `0.001·s² for l0, 0.002·s² for tanh, 8·s² for target_l0; ${scaleText}`

/** Chooses λ and whatever else is null. `unit`: E‖x‖, see `lengthUnit`; `width`: of one hook point. @throws InputError for a target L0 that is unused or exceeds d_sae */
export function completeJump<C extends JumpConfig & { sparsityCoefficient: number | null }>(
  config: C,
  context: FamilyContext,
  { unit, width }: { unit: number; width: number },
): C {
  const { dSae } = context.shape
  // Anthropic's lengths belong to E‖x‖ = √d.
  const anthropic = unit / Math.sqrt(width)
  const { sparsityLoss } = config
  if (config.targetL0 !== null) {
    atMostLatents('target_l0', config.targetL0, context)
    if (sparsityLoss !== 'target_l0') {
      throw contradiction({
        message: 'only sparsity_loss target_l0 has a target',
        fields: ['target_l0', 'sparsity_loss'],
        found: `${config.targetL0} and ${sparsityLoss}`,
        expected: 'sparsity_loss target_l0, or no target_l0',
      })
    }
  }
  const tanh = sparsityLoss === 'tanh'
  return {
    ...config,
    sparsityCoefficient: config.sparsityCoefficient ?? defaultCoefficient(sparsityLoss, unit ** 2),
    targetL0: sparsityLoss === 'target_l0' ? (config.targetL0 ?? Math.min(20, dSae)) : null,
    bandwidth: config.bandwidth ?? (tanh ? 2 * anthropic : 0.001 * unit),
    initialThreshold: config.initialThreshold ?? (tanh ? 0.1 * anthropic : 0.001 * unit),
    tanhScale: config.tanhScale ?? 4 / anthropic,
    preActCoefficient: config.preActCoefficient ?? (tanh ? 3e-6 : 0),
  }
}

/**
 * dictionary_learning's 1 leaves L0 above its target by t·|∂mse/∂L0| / 2λ, 6 to 10 % on small data; with 8 times as much,
 * within 5 %.
 */
const targetPull = 8

function defaultCoefficient(loss: JumpConfig['sparsityLoss'], square: number): number {
  switch (loss) {
    case 'l0':
      return 0.001 * square
    case 'tanh':
      return 0.002 * square
    case 'target_l0':
      return targetPull * square
  }
}

/** Anthropic warms λ up over the whole run, Gemma Scope over 10,000 steps. */
export const jumpWarmUp = (loss: JumpConfig['sparsityLoss'], context: FamilyContext): number =>
  loss === 'tanh' ? context.totalSteps : shareOfRun(context, 0.1, 10_000)

export function jumpPlan(
  config: JumpConfig & { sparsityCoefficient: number | null },
  normWeighted: boolean,
): { selection: Selection; penalty: Penalty; preAct: PreActLoss | null } {
  const { bandwidth, steToInput, preActCoefficient, preActOn } = config
  return {
    selection: { kind: 'jumprelu', bandwidth: bandwidth!, steToInput },
    penalty: penaltyOf(config, normWeighted),
    preAct: preActCoefficient === 0 ? null : { coefficient: preActCoefficient!, on: preActOn },
  }
}

function penaltyOf(
  config: JumpConfig & { sparsityCoefficient: number | null },
  normWeighted: boolean,
): Penalty {
  const coefficient = config.sparsityCoefficient!
  switch (config.sparsityLoss) {
    case 'l0':
      return { kind: 'l0', coefficient }
    case 'tanh':
      return { kind: 'tanh', coefficient, scale: config.tanhScale!, normWeighted }
    case 'target_l0':
      return { kind: 'target_l0', coefficient, target: config.targetL0! }
  }
}

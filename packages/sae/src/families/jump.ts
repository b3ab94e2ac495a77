// JumpReLU as several families use it: the three sparsity losses, the width of the estimator, the thresholds' start and
// the pre-activation loss. Defaults are Gemma Scope's, carried over to activations with E‖x‖ = √d: those were trained with
// E‖x‖² = 1, so lengths (θ, ε) are times √d and the coefficient of an L0, which weighs against a squared error, times d.

import type { FamilyContext } from '../family.ts'
import { type ConfigOf, fieldTable } from '../fields.ts'
import type { Penalty, PreActLoss, Selection } from '../plan.ts'
import { atMostLatents, contradiction, shareOfRun } from './shared.ts'

export const sparsityLosses = ['l0', 'tanh', 'target_l0'] as const

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
    help: 'What L0 is drawn to; for sparsity_loss target_l0 only.',
    chosen: 'the smaller of 20 and d_sae',
    source: 'dictionary_learning JumpReluTrainer 20',
  },
  bandwidth: {
    kind: 'number',
    label: 'Bandwidth ε',
    default: null,
    above: 0,
    help: 'Width of the rectangle of the straight-through estimator, in units of the normalised activations.',
    chosen: '0.001·√d_in for l0 and target_l0 (0.001 for normalisation unit_mean_square), 2 for tanh',
    source: 'Gemma Scope 0.001 (arXiv 2408.05147), in the scale E‖x‖ = √d; Anthropic, January 2025: 2',
  },
  initialThreshold: {
    kind: 'number',
    label: 'First threshold θ',
    default: null,
    above: 0,
    help: 'Every threshold starts here.',
    chosen: '0.001·√d_in for l0 and target_l0 (0.001 for normalisation unit_mean_square), 0.1 for tanh',
    source: 'Gemma Scope 0.001 (arXiv 2408.05147), in the scale E‖x‖ = √d; Anthropic, January 2025: 0.1',
  },
  tanhScale: {
    kind: 'number',
    label: 'Scale c of tanh',
    default: 4,
    above: 0,
    help: 'tanh(c·f·‖d‖) is close to 1 for activations above 1/c.',
    source: 'Anthropic, January 2025; SAELens jumprelu_tanh_scale 4',
  },
  steToInput: {
    kind: 'flag',
    label: 'Estimator reaches π',
    default: false,
    help: 'Lets the straight-through gradient flow to the pre-activations too, not to the thresholds alone.',
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
    help: 'all latents, or those that are dead alone.',
    source: 'Anthropic, January 2025: all; SAELens: dead',
  },
} as const)
export type JumpConfig = ConfigOf<typeof jumpFields>

export const jumpCoefficientHelp =
  '0.001·d_in for l0, 0.002·d_in for tanh, d_in for target_l0; without d_in for normalisation unit_mean_square'

/** λ and the nulls of JumpReLU. `unit`: E‖x‖, see `lengthUnit`. @throws InputError for a target L0 that is not asked for or exceeds d_sae */
export function completeJump<C extends JumpConfig & { sparsityCoefficient: number | null }>(
  config: C,
  context: FamilyContext,
  unit: number,
): C {
  const { dSae } = context.shape
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
    bandwidth: config.bandwidth ?? (tanh ? 2 : 0.001 * unit),
    initialThreshold: config.initialThreshold ?? (tanh ? 0.1 : 0.001 * unit),
    preActCoefficient: config.preActCoefficient ?? (tanh ? 3e-6 : 0),
  }
}

function defaultCoefficient(loss: JumpConfig['sparsityLoss'], square: number): number {
  switch (loss) {
    case 'l0':
      return 0.001 * square
    case 'tanh':
      return 0.002 * square
    case 'target_l0':
      return square
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
      return { kind: 'tanh', coefficient, scale: config.tanhScale, normWeighted }
    case 'target_l0':
      return { kind: 'target_l0', coefficient, target: config.targetL0! }
  }
}

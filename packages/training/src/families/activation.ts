// A choice of activation for the families that predict or join hook points: transcoders, crosscoders and cross-layer
// transcoders come with TopK, ReLU and L1, BatchTopK or JumpReLU in different papers.

import type { FamilyContext, MemberConfig } from '../family.ts'
import { type ConfigOf, fieldTable } from '../fields.ts'
import type { Plan } from '../plan.ts'
import { completeJump, jumpCoefficientText, jumpFields, jumpPlan, jumpWarmUp } from './jump.ts'
import {
  annealFields,
  auxFields,
  auxPlan,
  completeAux,
  completeK,
  kField,
  mostK,
  thresholdDecay,
} from './parts.ts'
import { contradiction, lengthUnit, shareOfRun } from './shared.ts'
import { l1Coefficient, sparsityCoefficient } from './standard.ts'

const activations = ['topk', 'batchtopk', 'relu', 'jumprelu'] as const
type ActivationChoice = (typeof activations)[number]

/** `activation` itself is each family's own field, because its default differs. */
export const activationFields = fieldTable({
  k: {
    ...kField,
    default: null,
    help: 'Latents kept per token, on average for batchtopk; at most d_sae. For topk and batchtopk.',
    chosen: 'the smaller of 32 and d_sae',
  },
  ...annealFields,
  thresholdDecay,
  sparsityCoefficient: {
    ...sparsityCoefficient,
    chosen: `relu: 0.04·s; jumprelu: ${jumpCoefficientText}`,
    source:
      'ckkissane/crosscoder-model-diff-replication: 2 at width 2,304; Gemma Scope and Anthropic for jumprelu',
  },
  ...jumpFields,
  ...auxFields,
} as const)
type ActivationConfig = ConfigOf<typeof activationFields> & { activation: ActivationChoice }

export const activationField = {
  kind: 'choice',
  label: 'Activation',
  choices: activations,
  help: 'topk: the k largest per token; batchtopk: across a batch; relu: with an L1 penalty; jumprelu: learned thresholds.',
} as const

/** Settings that only some activations read, and which ones. */
const readBy: readonly (readonly [
  key: keyof ActivationConfig,
  name: string,
  by: readonly ActivationChoice[],
])[] = [
  ['k', 'k', ['topk', 'batchtopk']],
  ['kStart', 'k_start', ['topk', 'batchtopk']],
  ['kAux', 'k_aux', ['topk', 'batchtopk']],
  ['sparsityCoefficient', 'sparsity_coefficient', ['relu', 'jumprelu']],
  ['targetL0', 'target_l0', ['jumprelu']],
  ['bandwidth', 'bandwidth', ['jumprelu']],
  ['initialThreshold', 'initial_threshold', ['jumprelu']],
  ['preActCoefficient', 'pre_act_coefficient', ['jumprelu']],
]

/** `width`: of one hook point; λ and k_aux are chosen from it. @throws InputError for a setting that the activation does not read */
export function completeActivation<C extends ActivationConfig>(
  config: C,
  member: MemberConfig,
  context: FamilyContext,
  width: number,
): C {
  const { activation } = config
  const unit = lengthUnit(member, width)
  for (const [key, name, by] of readBy) {
    if (config[key] === null || by.includes(activation)) continue
    throw contradiction({
      message: `${activation} has no ${name}`,
      fields: [name, 'activation'],
      found: `${config[key]} and ${activation}`,
      expected: `activation ${by.join(' or ')}, or no ${name}`,
    })
  }
  switch (activation) {
    case 'topk':
    case 'batchtopk': {
      const k = config.k ?? Math.min(32, context.shape.dSae)
      return completeAux(completeK({ ...config, k }, context), width)
    }
    case 'relu':
      return { ...config, sparsityCoefficient: config.sparsityCoefficient ?? l1Coefficient(unit) }
    case 'jumprelu':
      return completeJump(config, context, { unit, width })
  }
}

/** The parts of a plan that the activation decides. Decoders are free, so penalties include norms. */
export function activationPlan(
  config: ActivationConfig,
): Pick<Plan, 'selection' | 'penalty' | 'preAct' | 'auxK'> {
  const { activation, thresholdDecay } = config
  switch (activation) {
    case 'topk':
      return {
        selection: { kind: 'topk', ...mostK(config), k: config.k!, score: 'raw' },
        ...none,
        auxK: auxPlan(config),
      }
    case 'batchtopk':
      return {
        selection: { kind: 'batchtopk', ...mostK(config), k: config.k!, score: 'raw', thresholdDecay },
        ...none,
        auxK: auxPlan(config),
      }
    case 'relu':
      return {
        ...none,
        selection: { kind: 'relu' },
        penalty: { kind: 'l1', coefficient: config.sparsityCoefficient!, normWeighted: true },
        auxK: null,
      }
    case 'jumprelu':
      return { ...jumpPlan(config, true), auxK: null }
  }
}
const none = { penalty: null, preAct: null } as const

/** Steps over which λ rises. */
export function activationWarmUp(config: ActivationConfig, context: FamilyContext): number {
  switch (config.activation) {
    case 'topk':
    case 'batchtopk':
      return 0
    case 'relu':
      return shareOfRun(context, 0.05)
    case 'jumprelu':
      return jumpWarmUp(config.sparsityLoss, context)
  }
}

// The standard SAE: ReLU and an L1 penalty. Anthropic's form of April 2024 by default, where decoder norms are free and
// the penalty includes them, so that small activations with long decoder rows gain nothing.
import { defineFamily } from '../family.ts'
import { basePlan, type Penalty } from '../plan.ts'
import { freeOrUnit, subtractBDec } from './parts.ts'
import { completeShared, lengthUnit, scaleText, shareOfRun, shortL1Rate, unitNotZero } from './shared.ts'

/**
 * 0.04 for E‖x‖² = 1, in the middle of what dictionary_learning_demo sweeps (0.012 to 0.08), times √d where E‖x‖ = √d,
 * because an L1 grows as x and the error as its square. ckkissane's crosscoder uses 2 at width 2,304, the same value.
 */
export const l1Coefficient = (unit: number): number => 0.04 * unit
export const l1CoefficientText = `0.04·s; ${scaleText}`

export const sparsityCoefficient = {
  kind: 'number',
  label: 'Sparsity λ',
  default: null,
  min: 0,
  help: 'Weight of the sparsity penalty against the squared error, summed over dimensions. Depends on the normalisation.',
} as const

/** Σ f_i ‖d_i‖, or Σ f_i if rows have norm 1. */
export const l1Penalty = (config: { sparsityCoefficient: number | null; decoder: string }): Penalty => ({
  kind: 'l1',
  coefficient: config.sparsityCoefficient!,
  normWeighted: config.decoder === 'free',
})

export const standard = defineFamily({
  name: 'standard',
  title: 'Standard (L1)',
  summary: 'ReLU with an L1 penalty on activations times decoder norms.',
  paper: {
    title: 'Circuits Updates, April 2024; Towards Monosemanticity (Bricken et al. 2023)',
    where: 'transformer-circuits.pub/2024/april-update',
  },
  formula: [
    'π = x W_encᵀ + b_enc   (x − b_dec instead of x if centred)',
    'f = ReLU(π)',
    'x̂ = f W_dec + b_dec',
    'L = mean ‖x̂ − x‖² + λ · mean Σ f_i ‖d_i‖   (without ‖d_i‖ for decoder unit)',
  ],
  hooks: 'one',
  fields: {
    sparsityCoefficient: {
      ...sparsityCoefficient,
      chosen: l1CoefficientText,
      source:
        'dictionary_learning_demo 0.012 to 0.06 at s = 1; Anthropic, April 2024: 5 at s = √d; SAELens: 1',
    },
    decoder: {
      ...freeOrUnit,
      default: 'free',
      source: 'Anthropic, April 2024: free; Bricken et al. 2023: unit, with resampling',
    },
    centred: {
      ...subtractBDec,
      default: false,
      source: 'Anthropic, April 2024: no; Bricken et al. 2023, SAELens and dictionary_learning: yes',
    },
  },
  defaults: {
    normalisation: 'expected_average',
    bDecInit: 'zero',
    decoderInitNorm: 0.1,
  },
  complete(config, member, context) {
    unitNotZero(config.decoder, member)
    return {
      config: {
        ...config,
        sparsityCoefficient:
          config.sparsityCoefficient ?? l1Coefficient(lengthUnit(member, context.shape.dIn)),
      },
      member: completeShared({
        member,
        context,
        rate: 5e-5,
        shortRunRate: shortL1Rate,
        sparsityWarmUpSteps: shareOfRun(context, 0.05),
      }),
    }
  },
  plan(config, member, { shape }) {
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'relu' },
      penalty: l1Penalty(config),
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
})

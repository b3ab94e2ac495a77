// JumpReLU SAEs: a threshold for every latent, trained by straight-through estimators. The threshold itself is the
// parameter, in float32: parametrised by its logarithm, other tools' thresholds hardly moved (SAELens #718 to #720).
import { defineFamily } from '../family.ts'
import { basePlan } from '../plan.ts'
import { completeJump, jumpCoefficientText, jumpFields, jumpPlan, jumpWarmUp } from './jump.ts'
import { freeOrUnit, subtractBDec } from './parts.ts'
import { completeShared, lengthUnit, unitNotZero } from './shared.ts'
import { sparsityCoefficient } from './standard.ts'

export const jumprelu = defineFamily({
  name: 'jumprelu',
  title: 'JumpReLU',
  summary: 'A learned threshold for every latent; L0, tanh or target-L0 penalty.',
  paper: { title: 'Jumping Ahead (Rajamanoharan et al. 2024)', where: 'arXiv 2407.14435' },
  formula: [
    'π = x W_encᵀ + b_enc   (x − b_dec instead of x if centred)',
    'f = π · H(π − θ)',
    'x̂ = f W_dec + b_dec',
    'l0: L = mean ‖x̂ − x‖² + λ · mean Σ H(π_i − θ_i)',
    'tanh: L = mean ‖x̂ − x‖² + λ · mean Σ tanh(c · f_i ‖d_i‖)',
    'target_l0: L = mean ‖x̂ − x‖² + λ · (mean L0 / target − 1)²',
    'plus λ_P · mean Σ ReLU(θ_i − π_i) ‖d_i‖ if pre_act_coefficient is not 0',
    '∂f/∂θ = −(θ/ε) rect((π − θ)/ε),  ∂H/∂θ = −(1/ε) rect((π − θ)/ε)',
  ],
  hooks: 'one',
  fields: {
    sparsityCoefficient: {
      ...sparsityCoefficient,
      chosen: jumpCoefficientText,
      source:
        'l0: Gemma Scope 0.001 at s = 1; tanh: SAELens 5 at s = √2304, Anthropic, January 2025, 10 to 20 at s = √d; ' +
        'target_l0: dictionary_learning 1 at s = 1',
    },
    ...jumpFields,
    decoder: {
      ...freeOrUnit,
      default: 'unit',
      source: 'Gemma Scope and dictionary_learning: unit; Anthropic and SAELens: free',
    },
    centred: {
      ...subtractBDec,
      default: false,
      source: 'Rajamanoharan et al. 2024, Anthropic and dictionary_learning: no; SAELens: yes',
    },
  },
  defaults: {
    adamBeta1: 0,
    normalisation: 'unit_mean_square',
    decoderInit: 'uniform',
    bDecInit: 'zero',
  },
  complete(config, member, context) {
    unitNotZero(config.decoder, member)
    const width = context.shape.dIn
    return {
      config: completeJump(config, context, { unit: lengthUnit(member, width), width }),
      member: completeShared({
        member,
        context,
        rate: 7e-5,
        sparsityWarmUpSteps: jumpWarmUp(config.sparsityLoss, context),
      }),
    }
  },
  plan(config, member, { shape }) {
    return {
      ...basePlan(shape),
      centred: config.centred,
      ...jumpPlan(config, config.decoder === 'free'),
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
})

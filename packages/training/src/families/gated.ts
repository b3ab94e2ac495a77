// Gated SAEs: one path decides which latents fire, another how strongly, so that the L1 penalty, which acts on the gate
// alone, does not shrink activations. An auxiliary reconstruction from the gate trains it.
import { defineFamily } from '../family.ts'
import { basePlan } from '../plan.ts'
import { freeOrUnit, subtractBDec } from './parts.ts'
import { completeShared, lengthUnit, shareOfRun, unitNotZero } from './shared.ts'
import { l1Coefficient, l1CoefficientText, l1Penalty, sparsityCoefficient } from './standard.ts'

export const gated = defineFamily({
  name: 'gated',
  title: 'Gated',
  summary: 'Decides separately which latents fire and how strongly; no shrinkage.',
  paper: {
    title: 'Improving Dictionary Learning with Gated Sparse Autoencoders (Rajamanoharan et al. 2024)',
    where: 'arXiv 2404.16014',
  },
  formula: [
    'z = (x − b_dec) W_encᵀ,  gate π = z + b_enc',
    'f = H(π) · ReLU(z · exp(r_mag) + b_mag)',
    'x̂ = f W_dec + b_dec',
    'L = mean ‖x̂ − x‖² + λ · mean Σ ReLU(π_i) + mean ‖ReLU(π) W_dec + b_dec − x‖²',
    'W_dec and b_dec get no gradient from the last term where frozen_decoder',
  ],
  hooks: 'one',
  fields: {
    sparsityCoefficient: {
      ...sparsityCoefficient,
      chosen: l1CoefficientText,
      source: 'dictionary_learning_demo 0.012 to 0.08 at s = 1; SAELens: 1',
    },
    frozenDecoder: {
      kind: 'flag',
      label: 'Frozen decoder',
      default: true,
      help: 'W_dec and b_dec get no gradient from the auxiliary reconstruction.',
      source: 'the paper and dictionary_learning: frozen; SAELens: not',
    },
    decoder: {
      ...freeOrUnit,
      default: 'unit',
      source: 'the paper and dictionary_learning: unit; SAELens: free, the penalty times the norms',
    },
    centred: { ...subtractBDec, default: true, source: 'the paper, SAELens and dictionary_learning: yes' },
  },
  defaults: {
    adamBeta1: 0,
    normalisation: 'unit_mean_square',
    bDecInit: 'zero',
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
        sparsityWarmUpSteps: shareOfRun(context, 0.1, 2000),
      }),
    }
  },
  plan(config, member, { shape }) {
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'gated', frozenDecoder: config.frozenDecoder },
      penalty: l1Penalty(config),
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
})

// Crosscoders: one set of latents for several layers, or for the same layer of several models. Every hook point has its
// own part of the encoder and decoder; a latent's penalty uses the sum of the norms of its decoder parts, so a latent
// of a single hook point costs no more than one of an SAE.

import { hookSpans } from '@mistudio/sae'
import { defineFamily } from '../family.ts'
import { basePlan } from '../plan.ts'
import {
  activationField,
  activationFields,
  activationPlan,
  activationWarmUp,
  completeActivation,
} from './activation.ts'
import { annealedK, warmedUp } from './parts.ts'
import { completeShared, shortL1Rate } from './shared.ts'

export const crosscoder = defineFamily({
  name: 'crosscoder',
  title: 'Crosscoder',
  summary: 'Latents shared by several layers or several models.',
  paper: {
    title: 'Sparse Crosscoders for Cross-Layer Features and Model Diffing (Lindsey et al. 2024)',
    where: 'transformer-circuits.pub/2024/crosscoders',
  },
  formula: [
    'x = the activations of all hook points side by side',
    'f = ReLU(x W_encᵀ + b_enc)   (or another activation)',
    'x̂ = f W_dec + b_dec',
    'L = mean Σ_m ‖x̂_m − x_m‖² + λ · mean Σ_i f_i Σ_m ‖d_i,m‖   over hook points m',
  ],
  hooks: 'several',
  fields: {
    activation: {
      ...activationField,
      default: 'relu',
      source: 'Lindsey et al. 2024 and ckkissane: relu; science-of-finetuning: batchtopk',
    },
    ...activationFields,
  },
  defaults: {
    normalisation: 'expected_average',
    bDecInit: 'zero',
    decoderInitNorm: 0.08,
  },
  complete: (config, member, context) => ({
    config: completeActivation(config, member, context, context.inputs[0].width),
    member: completeShared({
      member,
      context,
      rate: 5e-5,
      shortRunRate: shortL1Rate,
      sparsityWarmUpSteps: activationWarmUp(config, context),
    }),
  }),
  plan: (config, member, { shape, outputs }) => ({
    ...basePlan(shape),
    normSegments: hookSpans(outputs),
    ...activationPlan(config),
    decoder: 'free',
    deadAfterTokens: member.deadAfterTokens!,
  }),
  dynamics: (config, member, { step }) => ({
    sparsity: warmedUp(step, member.sparsityWarmUpSteps),
    p: 1,
    ...annealedK(config, step),
  }),
})

// Transcoders: sparse latents that predict one hook point from another, replacing an MLP, so that the layer's computation
// can be read from them. The encoder reads x itself (there is no b_dec of the input to subtract).
import { defineFamily, type Paper } from '../family.ts'
import { basePlan } from '../plan.ts'
import {
  activationField,
  activationFields,
  activationPlan,
  activationWarmUp,
  completeActivation,
} from './activation.ts'
import { annealedK, warmedUp } from './parts.ts'
import { completeShared, rateByWidth } from './shared.ts'

/** Transcoders with and without a linear path parallel to the latents. */
export const defineTranscoder = <const Name extends string>(options: {
  name: Name
  title: string
  summary: string
  paper: Paper
  skip: boolean
}) => {
  const { name, title, summary, paper, skip } = options
  return defineFamily({
    name,
    title,
    summary,
    paper,
    formula: [
      'f = activation(x W_encᵀ + b_enc)',
      skip ? 'ŷ = f W_dec + b_dec + x W_skipᵀ,  W_skip learned from 0' : 'ŷ = f W_dec + b_dec',
      'L = mean ‖ŷ − y‖² + what the activation adds: AuxK for topk and batchtopk, a penalty for relu and jumprelu',
    ],
    hooks: 'in_out',
    fields: {
      activation: {
        ...activationField,
        default: 'topk',
        source: 'sparsify: topk; Dunefsky et al. 2024: relu; Gemma Scope: jumprelu',
      },
      ...activationFields,
    },
    // As in sparsify: at the start only the mean of the targets is predicted and pre-activations are centred.
    defaults: {
      normalisation: 'expected_average',
      bDecInit: 'mean',
      bEncInit: 'centre',
      encoderInit: 'random',
      decoderInit: 'zero',
    },
    complete: (config, member, context) => ({
      config: completeActivation(config, member, context, context.shape.dOut),
      member: completeShared({
        member,
        context,
        rate: rateByWidth(context.shape.dSae),
        sparsityWarmUpSteps: activationWarmUp(config, context),
      }),
    }),
    plan: (config, member, { shape }) => ({
      ...basePlan(shape),
      skip,
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
}

export const transcoder = defineTranscoder({
  name: 'transcoder',
  title: 'Transcoder',
  summary: 'Predicts one hook point from another, as an MLP does.',
  paper: {
    title: 'Transcoders Find Interpretable LLM Feature Circuits (Dunefsky et al. 2024)',
    where: 'arXiv 2406.11944',
  },
  skip: false,
})

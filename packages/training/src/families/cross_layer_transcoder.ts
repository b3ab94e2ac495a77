// Cross-layer transcoders: the latents of a layer read that layer alone and write to the outputs of it and of all later
// layers, all trained together. One group of latents per layer; the penalty uses the joint norm of a latent's decoders.

import { hookSpans, type LatentGroup } from '@mistudio/sae'
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
import { completeShared, contradiction, lengthUnit, scaleText } from './shared.ts'

export const crossLayerTranscoder = defineFamily({
  name: 'cross_layer_transcoder',
  title: 'Cross-layer transcoder',
  summary: 'One encoder per layer, with decoders to that layer and all later ones.',
  paper: {
    title: 'Circuit Tracing (Ameisen et al. 2025)',
    where: 'transformer-circuits.pub/2025/attribution-graphs/methods',
  },
  formula: [
    'f_l = activation(x_l W_enc,lᵀ + b_enc,l)   for every layer l',
    'ŷ_m = Σ_{l ≤ m} f_l W_dec,l→m + b_dec,m',
    'L = mean Σ_m ‖ŷ_m − y_m‖² + λ · mean Σ_l Σ_i tanh(c · f_l,i ‖d_l,i‖),  ‖d_l,i‖ over all layers it writes to',
  ],
  hooks: 'layers',
  fields: {
    activation: {
      ...activationField,
      default: 'jumprelu',
      source: 'Ameisen et al. 2025 and crosslayer-coding: jumprelu',
    },
    ...activationFields,
    sparsityLoss: {
      ...activationFields.sparsityLoss,
      default: 'tanh',
      source: 'Ameisen et al. 2025 and crosslayer-coding: tanh',
    },
    initialThreshold: {
      ...activationFields.initialThreshold,
      chosen: `0.03·s/√d_in for tanh, otherwise 0.001·s; ${scaleText}`,
      source: 'crosslayer-coding jumprelu_threshold 0.03 at s = √d',
    },
  },
  defaults: {
    normalisation: 'expected_average',
    bDecInit: 'mean',
    encoderInit: 'random',
    decoderInit: 'uniform',
    decoderInitNorm: 0.1,
  },
  complete(config, member, context) {
    const layers = context.inputs.length
    const { dSae } = context.shape
    if (dSae % layers !== 0) {
      throw contradiction({
        message: 'the latents are divided evenly among the layers',
        fields: ['d_sae', 'hook'],
        found: `${dSae} latents and ${layers} layers`,
        expected: `a multiple of ${layers}`,
      })
    }
    const tanh = config.activation === 'jumprelu' && config.sparsityLoss === 'tanh'
    const { width } = context.inputs[0]
    const threshold = tanh ? (0.03 * lengthUnit(member, width)) / Math.sqrt(width) : null
    const initialThreshold = config.initialThreshold ?? threshold
    return {
      config: completeActivation({ ...config, initialThreshold }, member, context, width),
      member: completeShared({
        member,
        context,
        rate: 2e-4,
        sparsityWarmUpSteps: activationWarmUp(config, context),
      }),
    }
  },
  plan(config, member, { shape, inputs, outputs }) {
    const perLayer = shape.dSae / inputs.length
    const read = hookSpans(inputs)
    const written = hookSpans(outputs)
    const groups = inputs.map(
      (_, l): LatentGroup => ({
        latents: [l * perLayer, (l + 1) * perLayer],
        input: read[l],
        output: [written[l][0], shape.dOut],
      }),
    )
    return {
      ...basePlan(shape),
      groups,
      ...activationPlan(config),
      decoder: 'free',
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
  dynamics: (config, member, { step }) => ({
    sparsity: warmedUp(step, member.sparsityWarmUpSteps),
    p: 1,
    ...annealedK(config, step),
  }),
})

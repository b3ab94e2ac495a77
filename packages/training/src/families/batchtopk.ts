// BatchTopK SAEs: the k·B largest activations of a batch are kept, so a token may use more or fewer than k. At
// inference a single threshold replaces that (a JumpReLU): a running mean, calibrated at the end.
import { defineFamily } from '../family.ts'
import { basePlan } from '../plan.ts'
import {
  annealedK,
  annealFields,
  auxFields,
  auxPlan,
  completeSelecting,
  freeOrUnit,
  kField,
  mostK,
  scoreField,
  subtractBDec,
  thresholdDecay,
} from './parts.ts'

/** Also Matryoshka's: it is a BatchTopK with nested reconstructions. */
export const batchTopKFields = {
  k: { ...kField, help: 'Latents kept on average: k times the batch size in every batch, at most d_sae.' },
  ...annealFields,
  score: {
    ...scoreField,
    default: 'raw',
    source: 'Bussmann et al. and dictionary_learning: raw; SAELens: normed',
  },
  decoder: {
    ...freeOrUnit,
    default: 'unit',
    source: 'Bussmann et al. and dictionary_learning: unit; SAELens: free',
  },
  centred: {
    ...subtractBDec,
    default: true,
    source: 'Bussmann et al., SAELens and dictionary_learning: yes',
  },
  thresholdDecay,
  ...auxFields,
} as const

export const batchtopk = defineFamily({
  name: 'batchtopk',
  title: 'BatchTopK',
  summary: 'Keeps the largest activations of a batch, k per token on average.',
  paper: { title: 'BatchTopK Sparse Autoencoders (Bussmann et al. 2024)', where: 'arXiv 2412.06410' },
  formula: [
    'π = (x − b_dec) W_encᵀ + b_enc',
    'f = ReLU(π) on the k·B largest positive π of a batch of B tokens, else 0',
    'x̂ = f W_dec + b_dec',
    'L = mean ‖x̂ − x‖² + α · AuxK   (as in topk)',
    'inference: f = π · H(π − θ) with one θ for all latents',
  ],
  hooks: 'one',
  fields: batchTopKFields,
  defaults: {},
  complete: completeSelecting,
  plan(config, member, { shape }) {
    const { k, score, thresholdDecay } = config
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'batchtopk', ...mostK(config), k, score, thresholdDecay },
      auxK: auxPlan(config),
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
  dynamics: (config, _member, { step }) => ({ sparsity: 1, p: 1, ...annealedK(config, step) }),
})

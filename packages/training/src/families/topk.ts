// TopK SAEs: the k largest pre-activations of a token are kept. No penalty, so no shrinkage and a known L0;
// AuxK revives dead latents.
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
} from './parts.ts'

export const topk = defineFamily({
  name: 'topk',
  title: 'TopK',
  summary: 'Keeps the k largest pre-activations of each token.',
  paper: { title: 'Scaling and evaluating sparse autoencoders (Gao et al. 2024)', where: 'arXiv 2406.04093' },
  formula: [
    'π = (x − b_dec) W_encᵀ + b_enc',
    'f = ReLU(π) on the k largest π of a token, else 0',
    'x̂ = f W_dec + b_dec',
    'L = mean ‖x̂ − x‖² + α · AuxK',
    'AuxK = mean ‖ê − e‖² / variance of e,  e = x − x̂ detached,  ê = the k_aux largest π of dead latents, decoded without bias',
  ],
  hooks: 'one',
  fields: {
    k: { ...kField, help: 'Latents kept per token, at most d_sae.' },
    ...annealFields,
    score: { ...scoreField, default: 'raw', source: 'OpenAI and dictionary_learning: raw; SAELens: normed' },
    decoder: {
      ...freeOrUnit,
      default: 'unit',
      source: 'Gao et al. 2024 and dictionary_learning: unit; SAELens: free',
    },
    centred: {
      ...subtractBDec,
      default: true,
      source: 'Gao et al. 2024, SAELens, dictionary_learning and sparsify: yes',
    },
    ...auxFields,
  },
  defaults: {},
  complete: completeSelecting,
  plan(config, member, { shape }) {
    return {
      ...basePlan(shape),
      centred: config.centred,
      selection: { kind: 'topk', ...mostK(config), k: config.k, score: config.score },
      auxK: auxPlan(config),
      decoder: config.decoder,
      deadAfterTokens: member.deadAfterTokens!,
    }
  },
  dynamics: (config, _member, { step }) => ({ sparsity: 1, p: 1, ...annealedK(config, step) }),
})

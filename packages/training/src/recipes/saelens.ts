// SAELens v6: the defaults of its runner and of its training configurations, read in the code of 6.37.1.
import type { Recipe } from './recipe.ts'

const source = (file: string) => `SAELens 6.37.1, ${file}; config.py LanguageModelSAERunnerConfig`

/** Constant rate without warm-up, W_dec Kaiming-uniform set to norm 0.1, W_enc its transpose, biases 0. */
const common = {
  batch_size: 4096,
  learning_rate: 3e-4,
  learning_rate_schedule: 'constant',
  warm_up_steps: 0,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  clip_norm: 1,
  sparsity_warm_up_steps: 0,
  normalisation: 'none',
  b_dec_init: 'zero',
  encoder_init: 'tied',
  decoder_init: 'uniform',
  decoder_init_norm: 0.1,
  // 1,000 steps of 4,096 tokens.
  dead_after_tokens: 4_096_000,
  decoder: 'free',
  centred: true,
} as const

/** AuxK in SAELens: raw pre-activations, not over the variance, weight 1, smaller while few are dead. */
const aux = {
  aux_coefficient: 1,
  aux_normalisation: 'none',
  aux_relu: false,
  aux_scale_by_dead: true,
} as const

export const saelensRecipes: readonly Recipe[] = [
  {
    name: 'saelens_standard',
    family: 'standard',
    source: source('saes/standard_sae.py'),
    sets: { ...common, sparsity_coefficient: 1 },
  },
  {
    name: 'saelens_gated',
    family: 'gated',
    source: source('saes/gated_sae.py'),
    sets: { ...common, sparsity_coefficient: 1, frozen_decoder: false },
  },
  {
    name: 'saelens_topk',
    family: 'topk',
    source: source('saes/topk_sae.py'),
    sets: { ...common, k: 100, score: 'normed', ...aux },
  },
  {
    name: 'saelens_batchtopk',
    family: 'batchtopk',
    source: source('saes/batchtopk_sae.py'),
    sets: { ...common, k: 100, score: 'normed', threshold_decay: 0.99, ...aux },
  },
  {
    name: 'saelens_matryoshka',
    family: 'matryoshka',
    source: `${source('saes/matryoshka_batchtopk_sae.py')}; it has no default widths, the family's are used`,
    sets: { ...common, k: 100, score: 'normed', threshold_decay: 0.99, ...aux },
  },
  {
    name: 'saelens_jumprelu',
    family: 'jumprelu',
    source: `${source('saes/jumprelu_sae.py')}; thresholds are trained directly here, not their logarithm`,
    sets: {
      ...common,
      sparsity_loss: 'l0',
      sparsity_coefficient: 1,
      bandwidth: 0.05,
      initial_threshold: 0.01,
      pre_act_coefficient: 0,
    },
  },
  {
    name: 'saelens_jumprelu_tanh',
    family: 'jumprelu',
    source: "SAELens's documentation, training JumpReLU SAEs as Anthropic does; λ rises over the whole run",
    sets: {
      ...common,
      learning_rate_schedule: 'linear',
      decay_fraction: 0.2,
      sparsity_warm_up_steps: null,
      normalisation: 'expected_average',
      sparsity_loss: 'tanh',
      tanh_scale: 4,
      sparsity_coefficient: 5,
      bandwidth: 2,
      initial_threshold: 0.1,
      pre_act_coefficient: 3e-6,
      pre_act_on: 'dead',
    },
  },
]

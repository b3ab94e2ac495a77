// Recipes of papers and of the code that came with them.
import type { Recipe } from './recipe.ts'

/** How Anthropic trains since April 2024, and crosscoders after it. */
const aprilUpdate = {
  learning_rate: 5e-5,
  learning_rate_schedule: 'linear',
  warm_up_steps: 0,
  decay_fraction: 0.2,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  clip_norm: 1,
  sparsity_warm_up_steps: null,
  normalisation: 'expected_average',
  b_dec_init: 'zero',
  encoder_init: 'tied',
  decoder_init: 'sphere',
} as const

export const paperRecipes: readonly Recipe[] = [
  {
    name: 'anthropic_april_2024',
    family: 'standard',
    source:
      'Anthropic, Circuits Updates, April 2024 (transformer-circuits.pub/2024/april-update); λ rises over 5 % of the run',
    sets: {
      ...aprilUpdate,
      decoder_init_norm: 0.1,
      decoder: 'free',
      centred: false,
      sparsity_coefficient: 5,
    },
  },
  {
    name: 'anthropic_january_2025',
    family: 'jumprelu',
    source:
      'Anthropic, Circuits Updates, January 2025 (transformer-circuits.pub/2025/january-update), λ 10 to 20 there; λ rises over the ' +
      'whole run; thresholds are trained directly here, not their logarithm',
    sets: {
      batch_size: 32_768,
      learning_rate: 2e-4,
      learning_rate_schedule: 'linear',
      warm_up_steps: 0,
      decay_fraction: 0.2,
      adam_beta1: 0.9,
      adam_beta2: 0.999,
      clip_norm: 1,
      sparsity_warm_up_steps: null,
      normalisation: 'expected_average',
      b_dec_init: 'zero',
      b_enc_init: 'firing_rate',
      encoder_init: 'tied_ratio',
      decoder_init: 'uniform',
      // Entries uniform within ±1/√n make rows of norm 1/√3.
      decoder_init_norm: 0.577,
      decoder: 'free',
      centred: false,
      sparsity_loss: 'tanh',
      tanh_scale: 4,
      sparsity_coefficient: 10,
      bandwidth: 2,
      initial_threshold: 0.1,
      ste_to_input: true,
      pre_act_coefficient: 3e-6,
      pre_act_on: 'all',
    },
  },
  {
    name: 'gemma_scope',
    family: 'jumprelu',
    source:
      'Lieberum et al. 2024 (arXiv 2408.05147), Rajamanoharan et al. 2024 (arXiv 2407.14435); the warm-up of the rate is linear from 0 ' +
      'here, a cosine from a tenth there',
    sets: {
      batch_size: 4096,
      train_tokens: 4_000_000_000,
      learning_rate: 7e-5,
      learning_rate_schedule: 'constant',
      warm_up_steps: 1000,
      adam_beta1: 0,
      adam_beta2: 0.999,
      adam_epsilon: 1e-8,
      sparsity_warm_up_steps: 10_000,
      normalisation: 'unit_mean_square',
      b_dec_init: 'zero',
      encoder_init: 'tied',
      decoder_init: 'uniform',
      decoder: 'unit',
      centred: true,
      sparsity_loss: 'l0',
      sparsity_coefficient: 0.001,
      bandwidth: 0.001,
      initial_threshold: 0.001,
    },
  },
  {
    name: 'openai',
    family: 'topk',
    source:
      'Gao et al. 2024 (arXiv 2406.04093), openai/sparse_autoencoder train.py; without its moving average of the weights, which is off there, ' +
      'and without scaling W_enc so that unit vectors keep their norm, of which it found no clear benefit',
    sets: {
      batch_size: 131_072,
      learning_rate: 1e-4,
      learning_rate_schedule: 'constant',
      warm_up_steps: 0,
      adam_beta1: 0.9,
      adam_beta2: 0.999,
      adam_epsilon: 6.25e-10,
      clip_norm: 0,
      normalisation: 'none',
      b_dec_init: 'geometric_median',
      encoder_init: 'tied',
      decoder_init: 'uniform',
      dead_after_tokens: 10_000_000,
      decoder: 'unit',
      centred: true,
      k: 32,
      score: 'raw',
      k_aux: 256,
      aux_coefficient: 1 / 32,
      aux_normalisation: 'variance',
      aux_relu: true,
      aux_scale_by_dead: false,
    },
  },
  {
    name: 'batchtopk_bussmann',
    family: 'batchtopk',
    source:
      'Bussmann et al. 2024 (arXiv 2412.06410), bartbussmann/BatchTopK main.py and config.py, 12,288 latents at width 768; W_enc has its ' +
      'norm at 16 latents a dimension, b_enc, which is not trained there, is trained here',
    sets: { ...bussmann(), k: 32, normalisation: 'layer_norm' },
  },
  {
    name: 'matryoshka_bussmann',
    family: 'matryoshka',
    source:
      'Bussmann et al. 2025 (arXiv 2503.17547), bartbussmann/matryoshka_sae main.py, 36,864 latents at width 2,304, groups of 1/16, 1/16, ' +
      '1/8, 1/4 and 1/2',
    sets: { ...bussmann(), k: 32, normalisation: 'none', prefix_fractions: [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1] },
  },
  {
    name: 'crosscoder_model_diff',
    family: 'crosscoder',
    source:
      'ckkissane/crosscoder-model-diff-replication after Lindsey et al. 2024 (transformer-circuits.pub/2024/crosscoders), width 2,304; λ ' +
      'rises over 5 % of the run',
    sets: {
      batch_size: 4096,
      train_tokens: 400_000_000,
      ...aprilUpdate,
      decoder_init_norm: 0.08,
      activation: 'relu',
      sparsity_coefficient: 2,
    },
  },
  {
    name: 'clt_anthropic',
    family: 'cross_layer_transcoder',
    source:
      "Ameisen et al. 2025 (transformer-circuits.pub/2025/attribution-graphs/methods) as in curt-tigges/crosslayer-coding; λ is the family's, " +
      'which rises over the whole run',
    sets: {
      batch_size: 4096,
      learning_rate_schedule: 'linear',
      decay_fraction: 0.2,
      sparsity_warm_up_steps: null,
      normalisation: 'expected_average',
      activation: 'jumprelu',
      sparsity_loss: 'tanh',
      tanh_scale: 1,
      initial_threshold: 0.03,
      pre_act_coefficient: 3e-6,
      pre_act_on: 'all',
    },
  },
]

function bussmann() {
  return {
    batch_size: 4096,
    train_tokens: 500_000_000,
    learning_rate: 3e-4,
    learning_rate_schedule: 'constant',
    warm_up_steps: 0,
    adam_beta1: 0.9,
    adam_beta2: 0.99,
    // 100,000 there, which is never reached.
    clip_norm: 0,
    b_dec_init: 'zero',
    encoder_init: 'tied',
    // Kaiming-uniform over d_sae: rows of norm √(2·d_in/d_sae).
    encoder_init_scale: 0.354,
    decoder_init: 'uniform',
    // Five batches.
    dead_after_tokens: 20_480,
    decoder: 'unit',
    centred: true,
    score: 'raw',
    k_aux: 512,
    aux_coefficient: 1 / 32,
    aux_normalisation: 'none',
    aux_relu: true,
    aux_scale_by_dead: false,
  } as const
}

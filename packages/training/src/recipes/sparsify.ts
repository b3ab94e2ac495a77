// sparsify: its configuration with the Adam option; its default optimiser, a schedule-free sign descent, is not offered.
import type { Recipe } from './recipe.ts'

const source = 'EleutherAI/sparsify 1.3.3, config.py, sparse_coder.py and trainer.py with optimizer adam'

/** 32 sequences of 2,048 tokens; rate 2e-4/√(d_sae/2^14), which the families choose themselves, falling from the warm-up on. */
const common = {
  batch_size: 65_536,
  learning_rate_schedule: 'linear',
  warm_up_steps: 1000,
  decay_fraction: 1,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  clip_norm: 0,
  normalisation: 'none',
  b_dec_init: 'mean',
  dead_after_tokens: 10_000_000,
  k: 32,
  aux_coefficient: 0,
} as const

const transcoder = {
  ...common,
  b_enc_init: 'centre',
  encoder_init: 'random',
  decoder_init: 'zero',
  activation: 'topk',
} as const

export const sparsifyRecipes: readonly Recipe[] = [
  {
    name: 'sparsify_topk',
    family: 'topk',
    source,
    sets: {
      ...common,
      encoder_init: 'tied',
      // The default of torch's Linear, uniform within ±1/√d: rows of norm 1/√3.
      encoder_init_scale: 0.577,
      decoder_init: 'uniform',
      decoder: 'unit',
      centred: true,
      score: 'raw',
    },
  },
  { name: 'sparsify_transcoder', family: 'transcoder', source: `${source}, transcode`, sets: transcoder },
  {
    name: 'sparsify_skip_transcoder',
    family: 'skip_transcoder',
    source: `${source}, transcode and skip_connection (arXiv 2501.18823)`,
    sets: transcoder,
  },
]

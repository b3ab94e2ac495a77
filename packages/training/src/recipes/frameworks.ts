// The six training frameworks of the Python miStudio under their names. Its squared error was a mean over dimensions, ours
// is a sum, so its L1 of 0.0005 at width 2,048 is 1 here; its batch of 64, weight decay of 0.01 and L1 of 0.045 were
// mistakes and are not carried over, nor is its Skip, which added x itself to the reconstruction.
import type { Recipe } from './recipe.ts'

const source = (paper: string) => `the framework of the Python miStudio, after ${paper}`

const common = {
  learning_rate_schedule: 'linear',
  decay_fraction: 0.2,
  clip_norm: 1,
} as const

const l1 = {
  ...common,
  learning_rate: 4e-4,
  sparsity_warm_up_steps: 5000,
  normalisation: 'token_rms',
  sparsity_coefficient: 1,
} as const

export const frameworkRecipes: readonly Recipe[] = [
  {
    name: 'standard_saelens',
    family: 'standard',
    source: `${source('Bricken et al. 2023')}; L1 0.0005 against a mean over 2,048 dimensions`,
    sets: { ...l1, decoder: 'unit', centred: true, resample_every_steps: 5000 },
  },
  {
    name: 'standard_anthropic',
    family: 'standard',
    source: source('Templeton et al. 2024'),
    sets: {
      ...l1,
      normalisation: 'expected_average',
      sparsity_coefficient: 5,
      decoder: 'free',
      centred: true,
      resample_every_steps: 5000,
    },
  },
  {
    name: 'jumprelu_gemma_scope',
    family: 'jumprelu',
    source: `${source('Rajamanoharan et al. 2024')}; λ 0.001 against a mean over dimensions is the family's 0.001·d_in`,
    sets: {
      ...common,
      learning_rate: 7e-5,
      adam_beta1: 0,
      sparsity_warm_up_steps: 10_000,
      normalisation: 'token_rms',
      decoder: 'unit',
      sparsity_loss: 'l0',
      initial_threshold: 0.5,
      bandwidth: 0.01,
    },
  },
  {
    name: 'topk_openai',
    family: 'topk',
    source: source('Gao et al. 2024'),
    sets: {
      ...common,
      learning_rate: 3e-4,
      adam_epsilon: 6.25e-10,
      normalisation: 'token_rms',
      decoder: 'free',
      k: 64,
      aux_coefficient: 1 / 32,
    },
  },
  {
    name: 'skip',
    family: 'skip_transcoder',
    source: `${source('community use')}; the linear path is learned and starts at zero`,
    sets: { ...l1, activation: 'relu' },
  },
  {
    name: 'transcoder',
    family: 'transcoder',
    source: `${source('Dunefsky et al. 2024')}; L1 0.0005 against a mean over 2,048 dimensions`,
    sets: { ...l1, activation: 'relu' },
  },
]

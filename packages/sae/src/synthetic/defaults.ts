// Settings that suit ground truth of some hundred directions and a few million tokens, by family: what `sae synthetic` takes
// where nothing is given. They differ from a language model's: the data have no bias and no scale to normalise, runs are
// some thousand steps, and the rate falls for half of them, because late small steps are what turns latents that are
// near a direction into the direction.
import type { Settings } from '../fields.ts'

/** For every family. */
const shared: Settings = {
  learning_rate: 3e-3,
  warm_up_steps: 200,
  decay_fraction: 0.5,
  normalisation: 'none',
  b_dec_init: 'zero',
  adam_beta1: 0.9,
  dead_after_tokens: 100_000,
}

/** JumpReLU: an estimator as wide as the spread of a direction's magnitudes, thresholds that begin below them. */
const jump: Settings = { bandwidth: 0.5, initial_threshold: 0.1, sparsity_coefficient: 0.2, decoder: 'unit' }

const byFamily: Readonly<Record<string, Settings>> = {
  standard: { sparsity_coefficient: 0.3 },
  gated: { sparsity_coefficient: 0.3 },
  jumprelu: jump,
  p_anneal: { sparsity_coefficient: 0.3 },
}

/** Families that select k latents take the data's mean L0. */
const selecting: readonly string[] = ['topk', 'batchtopk', 'matryoshka']

export function syntheticDefaults(options: { family: string; l0: number; dSae: number }): Settings {
  const { family, l0, dSae } = options
  return {
    ...shared,
    ...byFamily[family],
    ...(selecting.includes(family) && { k: Math.max(1, Math.min(dSae, Math.round(l0))) }),
  }
}

// Settings that suit ground truth of some hundred directions and a few million tokens, by family: the defaults
// of `sae synthetic`. They differ from a language model's: the data have no bias and no scale to normalise, runs are
// a few thousand steps, and the rate falls for half of them, because small late steps align latents that are
// already near a direction.
import type { Settings } from '../fields.ts'

/** For every family. */
const shared: Settings = {
  learning_rate: 1e-2,
  warm_up_steps: 200,
  decay_fraction: 0.5,
  normalisation: 'none',
  b_dec_init: 'zero',
  adam_beta1: 0.9,
  dead_after_tokens: 30_000,
}

/** Dead latents are pulled to the residual as strongly as the others to the whole input. */
const revived: Settings = { aux_coefficient: 1 }

/** λ in units of a squared error of about 1.5 per missing direction. */
const byFamily: Readonly<Record<string, Settings>> = {
  standard: { learning_rate: 3e-3, sparsity_coefficient: 0.3 },
  gated: { sparsity_coefficient: 1 },
  topk: revived,
  batchtopk: revived,
  matryoshka: revived,
  // The tanh form reaches the encoder of latents that fire too often; an estimator wider than a magnitude. Its pressure
  // rises over the whole run: at full strength from the start it kills latents before they have found a direction.
  jumprelu: {
    sparsity_loss: 'tanh',
    sparsity_coefficient: 0.1,
    ste_to_input: true,
    bandwidth: 1.5,
    initial_threshold: 0.1,
    decoder: 'free',
  },
  p_anneal: { learning_rate: 3e-3, sparsity_coefficient: 0.3 },
}

/** Families that select k latents use the data's mean L0. */
const selecting: readonly string[] = ['topk', 'batchtopk', 'matryoshka']

export function syntheticDefaults(options: { family: string; l0: number; dSae: number }): Settings {
  const { family, l0, dSae } = options
  return {
    ...shared,
    ...byFamily[family],
    ...(selecting.includes(family) && { k: Math.max(1, Math.min(dSae, Math.round(l0))) }),
  }
}

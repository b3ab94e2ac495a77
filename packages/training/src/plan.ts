// A plan: what one SAE in training computes, as data. A family (families/*.ts) is a table of fields and a function from
// their values to a plan; the float64 oracle (testing/oracle/) and the fast learner (learner/) both read plans, not families.
//
// For a batch of B rows x [d_in] with targets y [d_out] (y = x for an SAE):
//   π = (x − [centred] b_dec) W_encᵀ + b_enc                       pre-activations
//   f = selection(π)                                               activations
//   x̂ = f W_dec + b_dec + [skip] x W_skipᵀ                         reconstruction
//   L = Σ_levels weight · mean_B ‖x̂_level − y‖²  +  penalty  +  aux  +  pre-act
// with sums over d_out and over latents, means over the B rows of the batch.
import type { LatentGroup, SaeShape, Span } from '@mistudio/sae'

export type Selection =
  /** f = ReLU(π). */
  | { kind: 'relu' }
  /**
   * f = ReLU(π) on a row's k largest scores, else 0. `score`: π, or π·‖d‖ (SAELens's rescale_acts_by_decoder_norm,
   * whose reconstruction π·d is the same). Equal scores go to the lower latent. `mostK`: the largest k of any
   * step (annealing), to allocate for; default k.
   */
  | { kind: 'topk'; k: number; mostK?: number; score: Score }
  /** f = ReLU(π) on the k·B largest positive scores of the batch (Bussmann et al. 2024, arXiv 2412.06410). */
  | { kind: 'batchtopk'; k: number; mostK?: number; score: Score; thresholdDecay: number }
  /**
   * f = π·H(π − θ), θ a parameter, kept ≥ 0 (float32; Rajamanoharan et al. 2024, arXiv 2407.14435). Straight-through
   * estimators with the rectangle of width ε = `bandwidth`: ∂f/∂θ = −(θ/ε)·rect((π−θ)/ε), ∂H/∂θ = −(1/ε)·rect.
   * `steToInput` (Anthropic, January 2025) also lets them flow to π: ∂f/∂π += (θ/ε)·rect, ∂H/∂π = (1/ε)·rect.
   */
  | { kind: 'jumprelu'; bandwidth: number; steToInput: boolean }
  /**
   * Gated (Rajamanoharan et al. 2024, arXiv 2404.16014): z = x W_encᵀ; gate π = z + b_enc (b_enc is the paper's b_gate);
   * f = H(π) · ReLU(z·exp(r_mag) + b_mag). The auxiliary reconstruction ReLU(π) W_dec + b_dec adds mean_B ‖· − y‖²,
   * with W_dec and b_dec frozen in it (`frozenDecoder`, the paper) or not (SAELens).
   */
  | { kind: 'gated'; frozenDecoder: boolean }

type Score = 'raw' | 'normed'

/** n_i: ‖d_i‖, summed over `normSegments` (of gradient 0 where it is 0); 1 where `normWeighted` is false. λ = `coefficient` · dynamics.sparsity. */
export type Penalty =
  /** λ·mean_B Σ f·n, for a gated plan with ReLU(π) instead of f. */
  | { kind: 'l1'; coefficient: number; normWeighted: boolean }
  /**
   * λ·mean_B S_p, S_p = Σ f^p·n, p = dynamics.p (p-annealing, Karvonen et al. 2024, arXiv 2408.00113). When p falls
   * from one step to the next, the learner multiplies λ by mean_B S_old / mean_B S_new over the new step's batch, so
   * that the penalty keeps its size; this factor (1 at first) is part of its state.
   */
  | { kind: 'lp'; coefficient: number; normWeighted: boolean }
  /** λ·mean_B Σ H(π − θ). */
  | { kind: 'l0'; coefficient: number }
  /** λ·mean_B Σ tanh(scale·f·n) (Anthropic, January 2025). */
  | { kind: 'tanh'; coefficient: number; scale: number; normWeighted: boolean }
  /** λ·(L0/target − 1)², L0 = mean_B Σ H(π − θ). */
  | { kind: 'target_l0'; coefficient: number; target: number }

/**
 * coefficient · mean_B Σ ReLU(θ − π)·n over all latents (Anthropic) or those that are dead (SAELens). It has no warm-up.
 */
export type PreActLoss = { coefficient: number; on: 'all' | 'dead' }

/**
 * AuxK (Gao et al. 2024, arXiv 2406.04093): the dead latents' kAux largest scores of a row (the selection's score: π, or
 * π·‖d‖ where it is normed, as in SAELens) reconstruct by their π the residual y − x̂ (detached; of the last level),
 * without bias. Weight: coefficient / denominator, the denominator
 * (detached) being the residual's variance about its batch mean (`variance`) or 1.
 */
export type AuxK = {
  coefficient: number
  kAux: number
  normalisation: 'variance' | 'none'
  /** ReLU on the dead latents' π (dictionary_learning) or not (SAELens). */
  relu: boolean
  /** × min(dead / kAux, 1) (SAELens). */
  scaleByDead: boolean
}

/** A nested reconstruction by the latents [0, width) (Matryoshka, Bussmann et al. 2025, arXiv 2503.17547). */
export type Level = { width: number; weight: number }

export type Plan = {
  shape: SaeShape
  /** In ascending latents; one group over everything except for cross-layer transcoders. */
  groups: readonly LatentGroup[]
  /** Columns of W_dec whose norms are taken separately and summed into n_i; by default one span over all columns. */
  normSegments: readonly Span[]
  /** Whether the encoder reads x − b_dec. Only if y is x. */
  centred: boolean
  /** Whether there is an affine W_skip [d_out, d_in]. */
  skip: boolean
  selection: Selection
  penalty: Penalty | null
  preAct: PreActLoss | null
  auxK: AuxK | null
  /** Ascending widths, the last d_sae. */
  levels: readonly Level[]
  /** The most levels of any step, to allocate for; default those of `levels`. */
  mostLevels?: number
  /** `unit`: rows of W_dec keep norm 1 (gradient's parallel part removed, renormalised after the step); `free`. */
  decoder: 'unit' | 'free'
  /** A latent is dead when it has not fired for this many tokens. */
  deadAfterTokens: number
}

/** What changes from step to step by a schedule: a pure function of the step. */
export type Dynamics = {
  /** Multiplies the penalty's coefficient (sparsity warm-up) but, as in SAELens, not that of the pre-act loss. */
  sparsity: number
  /** Exponent of an `lp` penalty. */
  p: number
  /** Replaces the selection's k (k-annealing). */
  k?: number
  /** Replaces the plan's levels (sampled prefixes); at most as many, or `mostLevels`. */
  levels?: readonly Level[]
}

export const steadyDynamics: Dynamics = { sparsity: 1, p: 1 }

/** The base of every plan of a shape: one group, one level, one norm segment, and no family's extras. */
export function basePlan(shape: SaeShape): Omit<Plan, 'selection' | 'decoder' | 'deadAfterTokens'> {
  const { dIn, dSae, dOut } = shape
  return {
    shape,
    groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dOut] }],
    normSegments: [[0, dOut]],
    levels: [{ width: dSae, weight: 1 }],
    centred: false,
    skip: false,
    penalty: null,
    preAct: null,
    auxK: null,
  }
}

// The metrics of an SAE and their definitions. Everything is made from sums over all tokens counted, never from
// an average of per-batch ratios; a metric that cannot be computed is null, never a number made up.

/** Sums over the tokens that count (unmasked positions). All in the scale of the model's own activations. */
export type ReconstructionSums = {
  tokens: number
  /** Σ ‖x − x̂‖² */
  squaredError: number
  /** Σ x, [d_in] */
  sum: Float64Array
  /** Σ ‖x‖² */
  sumSquares: number
  /** Σ ‖x̂‖² and Σ x·x̂, for the relative reconstruction bias. */
  reconstructionSquares: number
  product: number
  /** Σ over tokens of the number of latents with a positive activation. */
  firing: number
  /** Per latent: tokens at which it fired, [d_sae]. */
  fired: Float64Array
}

export function emptySums({ dIn, dSae }: { dIn: number; dSae: number }): ReconstructionSums {
  return {
    tokens: 0,
    squaredError: 0,
    sum: new Float64Array(dIn),
    sumSquares: 0,
    reconstructionSquares: 0,
    product: 0,
    firing: 0,
    fired: new Float64Array(dSae),
  }
}

/** Σ ‖x − x̄‖² with x̄ the mean over all tokens counted. */
export function totalVariance({
  tokens,
  sum,
  sumSquares,
}: Pick<ReconstructionSums, 'tokens' | 'sum' | 'sumSquares'>) {
  let meanSquares = 0
  for (const value of sum) meanSquares += (value / tokens) ** 2
  return sumSquares - tokens * meanSquares
}

/**
 * Fraction of variance unexplained: Σ‖x − x̂‖² / Σ‖x − x̄‖² with the global mean x̄ (peers.md §3.11; SAEBench's
 * `explained_variance` is 1 − this). null without tokens or variance.
 */
export function fvu(sums: ReconstructionSums): number | null {
  if (sums.tokens === 0) return null
  const variance = totalVariance(sums)
  return variance > 0 || Number.isNaN(variance) ? sums.squaredError / variance : null
}

/** L0: mean number of latents with a positive activation per token. */
export const l0 = (sums: ReconstructionSums): number | null =>
  sums.tokens === 0 ? null : sums.firing / sums.tokens

/** Share of latents that fired at no token counted; says nothing without the number of tokens beside it. */
export function deadFraction(sums: ReconstructionSums): number | null {
  if (sums.tokens === 0) return null
  return sums.fired.reduce((dead, count) => dead + (count === 0 ? 1 : 0), 0) / sums.fired.length
}

/** Density of each latent: the share of the tokens counted at which its activation is positive, [d_sae]. */
export const densities = (sums: ReconstructionSums): Float64Array | null =>
  sums.tokens === 0 ? null : sums.fired.map(count => count / sums.tokens)

/** Bins of `densityHistogram`; bin i holds −10 + i ≤ log₁₀(density + 1e−10) < −9 + i, the last one density 1 too. */
export const densityBins = 10

/** Latents by the decade of their density; those that never fired are in bin 0. */
export function densityHistogram(sums: ReconstructionSums): number[] | null {
  const histogram = new Array<number>(densityBins).fill(0)
  for (const density of densities(sums) ?? []) {
    const bin = Math.floor(Math.log10(density + 1e-10) + densityBins)
    histogram[Math.max(0, Math.min(densityBins - 1, bin))]++
  }
  return sums.tokens === 0 ? null : histogram
}

/** Mean over tokens of ‖x − x̂‖² summed over d_in. */
export const mse = (sums: ReconstructionSums): number | null =>
  sums.tokens === 0 ? null : sums.squaredError / sums.tokens

/** E‖x̂‖² / E[x·x̂] (Rajamanoharan et al. 2024, arXiv 2404.16014): below 1 means shrinkage. */
export const relativeReconstructionBias = (sums: ReconstructionSums): number | null =>
  sums.product > 0 ? sums.reconstructionSquares / sums.product : null

/** Cross-entropies in nats per predicted token, over the same positions. */
export type CrossEntropies = { clean: number; spliced: number; zero: number }

/** ΔCE: how much worse the model predicts with the SAE's reconstruction in place of the activation. */
export const deltaCe = ({ clean, spliced }: CrossEntropies): number => spliced - clean

/** (CE_zero − CE_spliced) / (CE_zero − CE_clean): 1 is no loss, 0 as bad as a zeroed hook point. */
export function ceScore({ clean, spliced, zero }: CrossEntropies): number | null {
  return zero === clean ? null : (zero - spliced) / (zero - clean)
}

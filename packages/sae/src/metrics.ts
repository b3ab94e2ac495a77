// The metrics of an SAE. Everything is computed from sums over all tokens counted, never from an average of per-batch
// ratios; a metric that cannot be computed is null, never a made-up number. Names, units and definitions
// in words are in evaluation's metric_table.ts.

/** Sums over one batch, in the space the SAE trains in. */
export type BatchSums = {
  rows: number
  /** Σ ‖x̂ − y‖², per dimension [d_out]. */
  squaredError: Float64Array
  /** Σ y and Σ y², per dimension [d_out]. */
  sum: Float64Array
  sumSquares: Float64Array
  /** Σ ‖x̂‖² and Σ x̂·y. */
  reconstructionSquares: number
  product: number
  /** Σ over rows of cos(x̂, y) and of ‖x̂‖/‖y‖. */
  cosine: number
  normRatio: number
  /** Firing latents, all rows. */
  firing: number
  /** Rows by their number of firing latents: [0], [1], [2,3], [4,7] … powers of two. */
  l0Histogram: Float64Array
  /** Tokens at which each latent fired [d_sae]. */
  fired: Float64Array
}

/**
 * Sums over the tokens that count (unmasked positions), in the scale of the model's own activations: the sums of one
 * training batch (`rows` are its tokens), plus those only an evaluation needs. y is the activation to reconstruct, x̂
 * the reconstruction; for an SAE y is x.
 */
export type MetricSums = BatchSums & {
  /** Σ over tokens of Σ f. */
  l1: number
  /** Σ over tokens of ‖y‖ and of ‖x̂‖. */
  norm: number
  reconstructionNorm: number
}

export function emptySums({ dOut, dSae }: { dOut: number; dSae: number }): MetricSums {
  return {
    rows: 0,
    squaredError: new Float64Array(dOut),
    sum: new Float64Array(dOut),
    sumSquares: new Float64Array(dOut),
    reconstructionSquares: 0,
    product: 0,
    cosine: 0,
    normRatio: 0,
    firing: 0,
    l0Histogram: new Float64Array(l0Bins(dSae)),
    fired: new Float64Array(dSae),
    l1: 0,
    norm: 0,
    reconstructionNorm: 0,
  }
}

/** Adds every sum of `more` to `into`. */
export function addSums<T extends BatchSums>(into: T, more: T): void {
  for (const key of Object.keys(into) as (keyof T)[]) {
    const [to, from] = [into[key], more[key]]
    if (to instanceof Float64Array) {
      for (let i = 0; i < to.length; i++) to[i] += (from as Float64Array)[i] ?? 0
    } else (into[key] as number) = (to as number) + (from as number)
  }
}

/** Sums of batches whose activations were scaled by `scale` before training, in the scale of the model. */
export function unscaleSums(sums: BatchSums, scale: number): BatchSums {
  const by = (power: number) => (value: number) => value / scale ** power
  return {
    ...sums,
    squaredError: sums.squaredError.map(by(2)),
    sum: sums.sum.map(by(1)),
    sumSquares: sums.sumSquares.map(by(2)),
    reconstructionSquares: by(2)(sums.reconstructionSquares),
    product: by(2)(sums.product),
  }
}

type Moments = { rows: number; sum: Float64Array; sumSquares: Float64Array }
const total = (values: Float64Array) => values.reduce((all, value) => all + value, 0)

/** Σ ‖y − ȳ‖² with ȳ the mean over all tokens counted; `sumSquares` Σ ‖y‖², whole or per dimension. */
export function totalVariance(moments: {
  tokens: number
  sum: Float64Array
  sumSquares: number | Float64Array
}): number {
  const { tokens, sum, sumSquares } = moments
  let meanSquares = 0
  for (const value of sum) meanSquares += (value / tokens) ** 2
  return (typeof sumSquares === 'number' ? sumSquares : total(sumSquares)) - tokens * meanSquares
}

/** Σ (y_j − ȳ_j)², [d_out]; below 1e-12 of Σ y_j² it is rounding, set to 0: the dimension is constant. */
export function variances({ rows, sum, sumSquares }: Moments): Float64Array {
  return sumSquares.map((squares, j) => {
    const variance = squares - sum[j] ** 2 / rows
    return variance > 1e-12 * squares || Number.isNaN(variance) ? variance : 0
  })
}

type Reconstruction = Moments & { squaredError: Float64Array }

/** Σ‖y − x̂‖² / Σ‖y − ȳ‖² with the global mean ȳ. null without tokens or variance. */
export function fvu({ rows, squaredError, sum, sumSquares }: Reconstruction): number | null {
  if (rows === 0) return null
  const variance = totalVariance({ tokens: rows, sum, sumSquares })
  return variance > 1e-12 * total(sumSquares) || Number.isNaN(variance)
    ? total(squaredError) / variance
    : null
}

/** 1 − FVU. */
export function explainedVariance(sums: Reconstruction): number | null {
  const unexplained = fvu(sums)
  return unexplained === null ? null : 1 - unexplained
}

/** 1 − Σ(y_j − x̂_j)² / Σ(y_j − ȳ_j)² of each dimension, null if it is constant, [d_out]. */
export function explainedVarianceByDimension(sums: Reconstruction): (number | null)[] | null {
  if (sums.rows === 0) return null
  const spread = variances(sums)
  return Array.from(sums.squaredError, (error, j) => (spread[j] === 0 ? null : 1 - error / spread[j]))
}

/** Mean and minimum of `explainedVarianceByDimension` over the dimensions that vary. */
export function explainedVarianceOfDimensions(
  sums: Reconstruction,
): { mean: number; min: number } | undefined {
  const known = explainedVarianceByDimension(sums)?.filter(value => value !== null) ?? []
  if (known.length === 0) return undefined
  return { mean: known.reduce((all, value) => all + value, 0) / known.length, min: Math.min(...known) }
}

/** `sum` over the tokens counted; null without tokens. */
const perToken = (sum: number, rows: number): number | null => (rows === 0 ? null : sum / rows)

/** Mean over tokens of ‖y − x̂‖² summed over the dimensions. */
export const mse = ({ rows, squaredError }: { rows: number; squaredError: Float64Array }): number | null =>
  perToken(total(squaredError), rows)

/** The same per dimension: Σ‖y − x̂‖² / (tokens · d_out). */
export const msePerDimension = (sums: { rows: number; squaredError: Float64Array }): number | null =>
  perToken(total(sums.squaredError) / sums.squaredError.length, sums.rows)

/** Mean number of latents with a positive activation per token. */
export const l0 = (sums: Pick<BatchSums, 'rows' | 'firing'>): number | null =>
  perToken(sums.firing, sums.rows)

/** Mean over tokens of Σ f. */
export const l1 = (sums: Pick<MetricSums, 'rows' | 'l1'>): number | null => perToken(sums.l1, sums.rows)

/** The bin of a token with `firing` latents: 0 is 0, then 1, 2–3, 4–7, … */
export const l0Bin = (firing: number): number => 32 - Math.clz32(firing)
export const l0Bins = (dSae: number): number => l0Bin(dSae) + 1
/** The numbers of firing latents that bin `bin` holds, both ends included. */
export const l0BinRange = (bin: number): [from: number, to: number] =>
  bin === 0 ? [0, 0] : [2 ** (bin - 1), 2 ** bin - 1]

/** Share of latents that never fired on the tokens counted; meaningless without the number of tokens. */
export function deadFraction({ rows, fired }: Pick<BatchSums, 'rows' | 'fired'>): number | null {
  if (rows === 0) return null
  return fired.reduce((dead, count) => dead + (count === 0 ? 1 : 0), 0) / fired.length
}

export function aliveFraction(sums: Pick<BatchSums, 'rows' | 'fired'>): number | null {
  const dead = deadFraction(sums)
  return dead === null ? null : 1 - dead
}

/** Density of each latent: the share of the tokens counted at which its activation is positive, [d_sae]. */
export const densities = ({ rows, fired }: Pick<BatchSums, 'rows' | 'fired'>): Float64Array | null =>
  rows === 0 ? null : fired.map(count => count / rows)

/** Bins of `densityHistogram`; bin i holds −10 + i ≤ log₁₀(density + 1e−10) < −9 + i, the last one density 1 too. */
export const densityBins = 10

/** Latents by the decade of their density; those that never fired are in bin 0. */
export function densityHistogram(sums: Pick<BatchSums, 'rows' | 'fired'>): number[] | null {
  const histogram = new Array<number>(densityBins).fill(0)
  for (const density of densities(sums) ?? []) {
    const bin = Math.floor(Math.log10(density + 1e-10) + densityBins)
    histogram[Math.max(0, Math.min(densityBins - 1, bin))]++
  }
  return sums.rows === 0 ? null : histogram
}

/** Mean over tokens of cos(y, x̂); a token whose y or x̂ is 0 counts as 0. */
export const cosine = (sums: Pick<BatchSums, 'rows' | 'cosine'>): number | null =>
  perToken(sums.cosine, sums.rows)

/** Mean over tokens of ‖x̂‖ / ‖y‖, ‖y‖ < 1e-4 taken as 1 (as SAELens does): an average of ratios by definition. */
export const l2Ratio = (sums: Pick<BatchSums, 'rows' | 'normRatio'>): number | null =>
  perToken(sums.normRatio, sums.rows)

/** E‖x̂‖² / E[y·x̂] (Rajamanoharan et al. 2024, arXiv 2404.16014): below 1 means shrinkage. */
export const relativeReconstructionBias = (
  sums: Pick<BatchSums, 'reconstructionSquares' | 'product'>,
): number | null => (sums.product === 0 ? null : sums.reconstructionSquares / sums.product)

/** Cross-entropies in nats per predicted token, over the same positions. */
export type CrossEntropies = { clean: number; spliced: number; zero: number }

/** ΔCE: how much worse the model predicts with the activation replaced by the SAE's reconstruction. */
export const deltaCe = ({ clean, spliced }: Pick<CrossEntropies, 'clean' | 'spliced'>): number =>
  spliced - clean

/** (ablated − spliced) / (ablated − clean): 1 is no loss, 0 as bad as the ablation. null if the ablation changes nothing. */
export function preservedScore(values: { clean: number; spliced: number; ablated: number }): number | null {
  const { clean, spliced, ablated } = values
  return ablated === clean ? null : (ablated - spliced) / (ablated - clean)
}

/** `preservedScore` of the cross-entropies against the hook point set to zero. */
export const ceScore = ({ clean, spliced, zero }: CrossEntropies): number | null =>
  preservedScore({ clean, spliced, ablated: zero })

/** (KL_ablated − KL_spliced) / KL_ablated. */
export const klScore = ({ spliced, ablated }: { spliced: number; ablated: number }): number | null =>
  preservedScore({ clean: 0, spliced, ablated })

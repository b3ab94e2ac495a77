// An evaluation's figures under their wire names: what `sae evaluate --json` prints and files hold. Definitions, units
// and the count behind each are in metric_table.ts under the same names.
import {
  aliveFraction,
  ceScore,
  cosine,
  deadFraction,
  deltaCe,
  densityHistogram,
  explainedVariance,
  explainedVarianceByDimension,
  explainedVarianceOfDimensions,
  fvu,
  klScore,
  l0,
  l1,
  l2Ratio,
  type MetricSums,
  mse,
  msePerDimension,
  preservedScore,
  relativeReconstructionBias,
} from '@mistudio/sae'
import type { EvaluationSums } from './reconstruction.ts'

/** Sums of cross-entropies over `tokens` and of KL divergences over `klTokens`, in nats. */
export type ModelSums = {
  tokens: number
  klTokens: number
  /** Masked positions of the same contexts. */
  maskedTokens: number
  clean: number
  spliced: number
  zero: number
  mean: number
  klSpliced: number
  klZero: number
  klMean: number
}

export const emptyModelSums = (): ModelSums => ({
  tokens: 0,
  klTokens: 0,
  maskedTokens: 0,
  clean: 0,
  spliced: 0,
  zero: 0,
  mean: 0,
  klSpliced: 0,
  klZero: 0,
  klMean: 0,
})

type ReconstructionReport = ReturnType<typeof reconstructionReport>

export type Evaluation = ReconstructionReport & {
  split: string
  /** Unmasked tokens behind everything except the cross-entropies and divergences. */
  tokens: number
  masked_tokens: number
  l0: number | null
  l0_histogram: number[] | null
  l1: number | null
  dead_fraction: number | null
  alive_fraction: number | null
  density_histogram: number[] | null
  explained_variance_by_dimension: (number | null)[] | null
  /** Reconstruction of each output hook point, if there are several. */
  hooks?: (ReconstructionReport & { hook: string })[]
} & ModelReport

type ModelReport = ReturnType<typeof modelReport>

export function evaluationReport(options: {
  split: string
  sums: EvaluationSums
  model: ModelSums
}): Evaluation {
  const { split, sums, model } = options
  const measured = sums.rows > 0
  return {
    split,
    tokens: sums.rows,
    masked_tokens: sums.maskedTokens,
    ...reconstructionReport(sums),
    l0: l0(sums),
    l0_histogram: measured ? [...sums.l0Histogram] : null,
    l1: l1(sums),
    dead_fraction: deadFraction(sums),
    alive_fraction: aliveFraction(sums),
    density_histogram: densityHistogram(sums),
    ...modelReport(model),
    explained_variance_by_dimension: explainedVarianceByDimension(sums),
    ...(sums.hooks.length > 1 && {
      hooks: sums.hooks.map(({ hook, sums: own }) => ({ hook, ...reconstructionReport(own) })),
    }),
  }
}

function reconstructionReport(sums: MetricSums) {
  const perToken = (sum: number) => (sums.rows === 0 ? null : sum / sums.rows)
  const dimensions = explainedVarianceOfDimensions(sums)
  return {
    fvu: fvu(sums),
    explained_variance: explainedVariance(sums),
    explained_variance_mean: dimensions?.mean ?? null,
    explained_variance_min: dimensions?.min ?? null,
    mse: mse(sums),
    mse_per_dimension: msePerDimension(sums),
    cosine: cosine(sums),
    l2_norm_in: perToken(sums.norm),
    l2_norm_out: perToken(sums.reconstructionNorm),
    l2_ratio: l2Ratio(sums),
    relative_reconstruction_bias: relativeReconstructionBias(sums),
  }
}

function modelReport(sums: ModelSums) {
  const ce = (sum: number) => (sums.tokens === 0 ? null : sum / sums.tokens)
  const kl = (sum: number) => (sums.klTokens === 0 ? null : sum / sums.klTokens)
  const counted = sums.tokens > 0
  const entropies = {
    clean: sums.clean / sums.tokens,
    spliced: sums.spliced / sums.tokens,
    zero: sums.zero / sums.tokens,
  }
  const diverged = (ablated: number) =>
    sums.klTokens === 0 ? null : klScore({ spliced: sums.klSpliced, ablated })
  return {
    ce_tokens: sums.tokens,
    ce_clean: ce(sums.clean),
    ce_spliced: ce(sums.spliced),
    ce_zero: ce(sums.zero),
    ce_mean: ce(sums.mean),
    delta_ce: counted ? deltaCe(entropies) : null,
    ce_score: counted ? ceScore(entropies) : null,
    ce_score_mean: counted ? preservedScore({ ...entropies, ablated: sums.mean / sums.tokens }) : null,
    kl_tokens: sums.klTokens,
    ce_masked_tokens: sums.maskedTokens,
    kl_spliced: kl(sums.klSpliced),
    kl_zero: kl(sums.klZero),
    kl_mean: kl(sums.klMean),
    kl_score: diverged(sums.klZero),
    kl_score_mean: diverged(sums.klMean),
  }
}

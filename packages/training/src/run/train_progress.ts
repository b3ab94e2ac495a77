// What a training reports while it runs: every metric of metric_table.ts that a training has, over the steps since the
// last event, and its speed. Figures of reconstruction are in the space the SAE trains in.
import type { EventData, MemberStatus as WireStatus } from '@mistudio/contract'
import {
  addSums,
  type BatchSums,
  cosine,
  densityHistogram,
  explainedVariance,
  explainedVarianceOfDimensions,
  fvu,
  l0,
  l2Ratio,
  mse,
  msePerDimension,
  relativeReconstructionBias,
} from '@mistudio/sae'
import type { Learner, StepLoss } from '../learner.ts'
import type { Dynamics, Plan } from '../plan.ts'
import type { Warning } from './warnings.ts'

/**
 * The wire's figures of a training, its SAEs with all their measurements. Speed is over the interval since the last event,
 * the time left is null before the first step of this process, the learning rate is that of the first SAE still training.
 */
export type TrainProgress = Omit<
  EventData<'training:progress'>,
  'training_id' | 'status' | 'progress' | 'memory_bytes' | 'saes'
> & {
  event: 'training:progress' | 'training:checkpoint' | 'training:completed' | 'training:stopped'
  status: 'training' | 'completed' | 'stopped' | 'paused'
  /** Resident memory of this process. */
  memory_bytes: number
  saes: MemberProgress[]
}

export type MemberStatus = Exclude<WireStatus, 'pending'>

/** null if nothing was measured since the last event. */
export type MemberProgress = {
  name: string
  family: string
  status: MemberStatus
  /** Why it failed. */
  error: string | null
  /** Steps it has taken. */
  step: number
  /** Tokens of the steps since the last event: what the means below are over. */
  step_tokens: number
  loss: number | null
  reconstruction: number | null
  sparsity: number | null
  aux: number | null
  pre_act: number | null
  gate_aux: number | null
  mse: number | null
  mse_per_dimension: number | null
  /** Squared error since the last event against the variance of all tokens trained on so far; the next three alike. */
  fvu: number | null
  explained_variance: number | null
  explained_variance_mean: number | null
  explained_variance_min: number | null
  cosine: number | null
  l2_ratio: number | null
  relative_reconstruction_bias: number | null
  l0: number | null
  l0_histogram: number[] | null
  l1: number | null
  /** Latents silent for `dead_after_tokens`; null until that many tokens were seen. */
  dead_latents: number | null
  alive_latents: number | null
  dead_after_tokens: number
  /** Over the last `density_tokens`. */
  density_histogram: number[] | null
  density_tokens: number
  grad_norm: number | null
  learning_rate: number
  /** λ after warm-up; null for plans without a penalty. */
  sparsity_coefficient: number | null
  /** θ of JumpReLU now, and the mean |θ − θ at the start|. */
  threshold: ThresholdStatistics | null
  /** BatchTopK's running threshold. */
  threshold_ema: number | null
  /** Latents restarted so far. */
  resampled_latents: number
  /** New in this event. */
  warnings: Warning[]
  /** All warnings so far, including earlier processes. */
  warned: Warning[]
}

export type ThresholdStatistics = { min: number; median: number; max: number; moved: number; start: number }

const terms = ['loss', 'reconstruction', 'sparsity', 'aux', 'preAct', 'gateAux', 'l1'] as const
type Term = (typeof terms)[number]

/** Sums over the steps since the last event. */
export type Interval = {
  steps: number
  terms: Record<Term, number>
  gradNorm: number
  /** undefined before the first step. */
  sums: BatchSums | undefined
}

export const emptyInterval = (): Interval => ({
  steps: 0,
  terms: { loss: 0, reconstruction: 0, sparsity: 0, aux: 0, preAct: 0, gateAux: 0, l1: 0 },
  gradNorm: 0,
  sums: undefined,
})

/** Adds one step. */
export function addStep(interval: Interval, step: { loss: StepLoss; sums: BatchSums; norm: number }): void {
  interval.steps++
  for (const term of terms) interval.terms[term] += step.loss[term]
  interval.gradNorm += step.norm
  if (interval.sums === undefined) interval.sums = copied(step.sums)
  else addSums(interval.sums, step.sums)
}

function copied(sums: BatchSums): BatchSums {
  const { squaredError, sum, sumSquares, l0Histogram, fired } = sums
  return {
    ...sums,
    squaredError: squaredError.slice(),
    sum: sum.slice(),
    sumSquares: sumSquares.slice(),
    l0Histogram: l0Histogram.slice(),
    fired: fired.slice(),
  }
}

/** Tokens at which each latent fired, over the newest tokens: two halves; the older is dropped when the newer is full. */
export type DensityWindow = { tokens: number; halves: { rows: number; fired: Float64Array }[] }

export const emptyDensity = (tokens: number): DensityWindow => ({ tokens, halves: [] })

export function addDensity(density: DensityWindow, { rows, fired }: BatchSums): void {
  const newest = density.halves.at(-1)
  if (newest === undefined || newest.rows >= density.tokens / 2) {
    density.halves = [...density.halves.slice(-1), { rows, fired: fired.slice() }]
    return
  }
  newest.rows += rows
  for (let i = 0; i < fired.length; i++) newest.fired[i] += fired[i]
}

function densityOf({ halves }: DensityWindow): { tokens: number; histogram: number[] | null } {
  if (halves.length === 0) return { tokens: 0, histogram: null }
  const rows = halves.reduce((sum, half) => sum + half.rows, 0)
  const fired = halves[0].fired.slice()
  for (const half of halves.slice(1)) for (let i = 0; i < fired.length; i++) fired[i] += half.fired[i]
  return { tokens: rows, histogram: densityHistogram({ rows, fired }) }
}

/** Running moments of y: [d_out] sums over all tokens trained on. */
export type TargetMoments = { rows: number; sum: Float64Array; sumSquares: Float64Array }

/** FVU and related figures of an interval: its error per token against the variance of all tokens so far. */
export function againstAll({ sums, moments }: { sums: BatchSums; moments: TargetMoments }) {
  const factor = sums.rows === 0 ? 0 : moments.rows / sums.rows
  return { ...moments, squaredError: sums.squaredError.map(error => error * factor) }
}

/** FVU of an interval, null before its first step. */
export const intervalFvu = (interval: Interval, moments: TargetMoments): number | null =>
  interval.sums === undefined ? null : fvu(againstAll({ sums: interval.sums, moments }))

/** The figures of the steps since the last event; null if there were none. */
export function intervalFigures(interval: Interval, moments: TargetMoments) {
  const { steps, sums } = interval
  const mean = (value: number) => (steps === 0 ? null : value / steps)
  const measured = <T>(of: (sums: BatchSums) => T): T | null => (sums === undefined ? null : of(sums))
  const all = sums === undefined ? undefined : againstAll({ sums, moments })
  const dimensions = all === undefined ? undefined : explainedVarianceOfDimensions(all)
  return {
    step_tokens: sums?.rows ?? 0,
    loss: mean(interval.terms.loss),
    reconstruction: mean(interval.terms.reconstruction),
    sparsity: mean(interval.terms.sparsity),
    aux: mean(interval.terms.aux),
    pre_act: mean(interval.terms.preAct),
    gate_aux: mean(interval.terms.gateAux),
    mse: measured(mse),
    mse_per_dimension: measured(msePerDimension),
    fvu: all === undefined ? null : fvu(all),
    explained_variance: all === undefined ? null : explainedVariance(all),
    explained_variance_mean: dimensions?.mean ?? null,
    explained_variance_min: dimensions?.min ?? null,
    cosine: measured(cosine),
    l2_ratio: measured(l2Ratio),
    relative_reconstruction_bias: measured(relativeReconstructionBias),
    l0: measured(l0),
    l0_histogram: measured(({ l0Histogram }) => Array.from(l0Histogram)),
    l1: mean(interval.terms.l1),
    grad_norm: mean(interval.gradNorm),
  }
}

export function densityFigures(density: DensityWindow) {
  const { tokens, histogram } = densityOf(density)
  return { density_histogram: histogram, density_tokens: tokens }
}

export function deadFigures(learner: Learner | undefined, stepped: boolean, plan: Plan) {
  const dead = learner === undefined || !stepped ? null : learner.loss().deadLatents
  return {
    dead_latents: dead,
    alive_latents: dead === null ? null : plan.shape.dSae - dead,
    dead_after_tokens: plan.deadAfterTokens,
  }
}

/** λ as it enters the loss. */
export const coefficientNow = (plan: Plan, dynamics: Dynamics): number | null =>
  plan.penalty === null ? null : plan.penalty.coefficient * dynamics.sparsity

export function thresholdStatistics(now: Float32Array, start: Float32Array): ThresholdStatistics {
  const sorted = now.slice().sort()
  let moved = 0
  let before = 0
  for (let i = 0; i < now.length; i++) {
    moved += Math.abs(now[i] - start[i]) / now.length
    before += start[i] / now.length
  }
  const median = sorted[Math.floor(sorted.length / 2)]
  return { min: sorted[0], median, max: sorted[sorted.length - 1], moved, start: before }
}

/** Measures a run's pace in steps: since the last lap, and since this process began. */
export function createPace(options: { step: number; totalSteps: number; batchSize: number }) {
  const { totalSteps, batchSize } = options
  const began = { at: performance.now(), step: options.step }
  let last = began
  return {
    secondsSinceLap: () => (performance.now() - last.at) / 1000,
    lap(step: number): { tokens_per_second: number; eta_seconds: number | null } {
      const at = performance.now()
      const seconds = Math.max(at - last.at, 1) / 1000
      const rate = ((step - last.step) * batchSize) / seconds
      const mean = (step - began.step) / Math.max(at - began.at, 1)
      last = { at, step }
      const left = step > began.step ? Math.ceil((totalSteps - step) / mean / 1000) : null
      return { tokens_per_second: rate, eta_seconds: left }
    },
  }
}

// A learner: one SAE in training. Two implementations read the same plan: learner/ (the worker pool) and testing/oracle/
// (float64, slow, the reference). The training loop calls load, encode, decode, gradients, update, afterStep in this order.

import type { ActivationPlace } from '@mistudio/capture'
import type { BatchSums, Normaliser, SaeWeights } from '@mistudio/sae'
import type { Place, WorkerPool } from '@mistudio/tensor'
import type { Dynamics, Plan } from './plan.ts'

/** [rows of the buffer, width] of one hook point; the batch's rows are chosen by `BatchSource.rows`. */
export type Columns = { activations: ActivationPlace; width: number; normaliser: Normaliser }

/** One batch: int32 row indices into every hook point's activations. `targets` absent: the inputs themselves. */
export type BatchSource = { rows: Place; inputs: readonly Columns[]; targets?: readonly Columns[] }

/** The loss of one step and its terms, coefficients included. Means over the batch's rows. */
export type StepLoss = {
  loss: number
  /** mean_B ‖x̂ − y‖² of the last level. */
  mse: number
  /** All levels, weighted; equals `mse` with one level of weight 1. */
  reconstruction: number
  /** λ · penalty. */
  sparsity: number
  aux: number
  preAct: number
  /** Gated: the auxiliary reconstruction. */
  gateAux: number
  l0: number
  /** mean_B Σ f. */
  l1: number
  /** null until `deadAfterTokens` tokens were seen. */
  deadLatents: number | null
}

/** Tensors of a learner by name, as a checkpoint stores them. */
export type LearnerState = Map<string, Float32Array | Float64Array>

export type AdamRates = {
  learningRate: number
  beta1: number
  beta2: number
  epsilon: number
  clipScale: number
}

export interface Learner {
  readonly plan: Plan
  load(batch: BatchSource): Promise<void>
  /** Writes the loaded batch [rows, width] for initialisation: float32 copies of x and y. */
  loaded(): { x: Float32Array; y: Float32Array }
  encode(dynamics: Dynamics): Promise<void>
  decode(): Promise<void>
  loss(): StepLoss
  sums(): BatchSums
  /** Computes all gradients. @returns the global L2 norm of the gradient, before clipping */
  gradients(): Promise<number>
  /** One Adam step with the gradient scaled by `clipScale`, then the plan's constraints. */
  update(rates: AdamRates): Promise<void>
  /** Counts which latents fired; moves the EMA threshold of BatchTopK. */
  afterStep(): Promise<void>
  /**
   * Restarts dead latents from the rows of the current batch with the largest error (Bricken et al. 2023): rows
   * are drawn in proportion to their squared error, each at most once; W_dec row = (y − b_dec) / ‖·‖, W_enc row that direction at 0.2 × the
   * mean encoder norm of the alive (of x for transcoders), b_enc, r_mag and b_mag 0, moments 0, tokens since it fired 0.
   * For each dead latent in ascending order one draw u of `randomStream({ seed, purpose: 'resample' })`: the first row
   * whose running sum of squared errors, skipping rows already drawn, exceeds u times the total. @returns how many
   */
  resample(options: { seed: number }): number
  /** Current weights, as views where possible. */
  weights(): SaeWeights
  /** Replaces the weights but not the moments. */
  setWeights(weights: SaeWeights): void
  /**
   * BatchTopK's EMA of the least positive score that a batch selects (π, or π·‖d‖ where normed); it starts with the first
   * batch's, null before it. A batch that selects nothing positive does not change it.
   */
  threshold(): number | null
  /** Everything a resume needs, by name; `restore` takes the same names. @throws InputError for other shapes */
  state(): LearnerState
  restore(state: LearnerState): void
  close(): Promise<void>
}

/**
 * `product`: scores of the float32 product are kept. `rescored`: they choose candidates, whose scores are recomputed
 * one by one. `screened`: an eight-bit product chooses the candidates, the float32 product where it cannot settle a row;
 * same bits as `rescored`.
 */
export type Scoring = 'product' | 'rescored' | 'screened'

export type LearnerOptions = {
  pool: WorkerPool
  plan: Plan
  batchSize: number
  weights: SaeWeights
  /** Latents per shared memory; default as many as fit in 4 GiB. Smaller only to test the split. */
  latentsPerBlock?: number
  /** How families that select k compute scores; default by size: see learner/screen.ts. */
  scoring?: Scoring
}

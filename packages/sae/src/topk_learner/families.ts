// The families of SAEs: what a member must offer, and the registry. The training loop (train.ts), evaluation
// and extraction know only these types; a new family is one file in families/ and one line here.
import type { Lanes, Place } from '@mistudio/tensor'
import { topk } from './topk.ts'

/** Parameters, feature-major: `wEnc` and `wDec` are [d_sae, d_in] rows, `bEnc` [d_sae], `bDec` [d_in]. */
export type SaeWeights = {
  wEnc: Float32Array
  bEnc: Float32Array
  wDec: Float32Array
  bDec: Float32Array
}

export type SaeShape = { dIn: number; dSae: number }

/** Where a batch lies: rows of `width` d_in, chosen by int32 indices. */
export type BatchSource = { rows: Place; activations: Place; scale: number }

/** The loss of one step, each term apart. `mse` is the mean over rows of the squared error summed over d_in. */
export type StepLoss = { loss: number; mse: number; aux: number; l0: number; deadLatents: number | null }

/** Sums over one batch from which FVU is made with the global mean: never an average of ratios. */
export type BatchSums = { rows: number; squaredError: number; firing: number }

/** Tensors of a learner by name, as a checkpoint stores them. */
export type LearnerState = Map<string, Float32Array | Float64Array>

/** One SAE in training. The loop calls load, encode, decode, gradients, update, afterStep in this order. */
export interface Learner {
  readonly shape: SaeShape
  /** Initialises parameters that depend on data (b_dec) from the first batch. */
  initialise(batch: BatchSource): Promise<void>
  load(batch: BatchSource): Promise<void>
  encode(): Promise<void>
  decode(): Promise<void>
  loss(): StepLoss
  /** Leaves all gradients in place. @returns the global L2 norm of the gradient, before clipping. */
  gradients(): Promise<number>
  /** One Adam step with the gradient scaled by `clipScale`, then the family's constraint (unit decoder rows). */
  update(options: { learningRate: number; clipScale: number }): Promise<void>
  /** Counts which latents fired. */
  afterStep(): Promise<void>
  sums(): BatchSums
  weights(): SaeWeights
  /** Everything a resume needs, by name; `restore` takes the same names. */
  state(): LearnerState
  restore(state: LearnerState): void
  close(): Promise<void>
}

export type LearnerOptions<Config> = {
  lanes: Lanes
  shape: SaeShape
  config: Config
  batchSize: number
  seed: number
  weights?: SaeWeights
  /** Latents per shared memory; default as many as fit 4 GiB. Smaller only to test the split. */
  latentsPerBlock?: number
}

export interface Family<Config> {
  readonly name: string
  /** Completes and checks a configuration. @throws InputError naming the field. */
  config(given: Partial<Config>, context: { shape: SaeShape; trainTokens: number }): Config
  learner(options: LearnerOptions<Config>): Promise<Learner>
  /** Exact inference form on plain arrays, float64: `f` [n, d_sae] and reconstruction [n, d_in]. */
  infer(options: { weights: SaeWeights; shape: SaeShape; config: Config; x: Float32Array }): {
    featureActs: Float64Array
    reconstruction: Float64Array
  }
}

export const families = { topk } as const
export type FamilyName = keyof typeof families

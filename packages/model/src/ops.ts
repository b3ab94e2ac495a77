// The operations of a decoder. A model definition is one function over these operations, independent of the
// runtime that implements them: `runtimes/onnx.ts` records a graph, `runtimes/oracle.ts` computes immediately,
// `runtimes/shapes.ts` finds out what the model consists of.
// The tokens and their positions belong to the runtime (a whole context, or the next tokens after a cache),
// so no operation mentions them except the two embeddings, `rotary`, `attention` and `shortConv`.
// Every value is a matrix [tokens, width]; the tokens of several contexts come one context after another.
import type { RopeConfig } from './rope.ts'

export type Activation = 'silu' | 'gelu' | 'gelu_new' | 'relu'
export const activations: readonly Activation[] = ['silu', 'gelu', 'gelu_new', 'relu']

/** `out_in`: y = x Wᵀ (torch's Linear). `in_out`: y = x W (GPT-2's Conv1D). */
export type WeightLayout = 'out_in' | 'in_out'

/** Parameters are named as in the checkpoint (see `WeightStore`). */
export interface Ops<T> {
  /** The row of `weight` [vocab, width] of every token. */
  embedTokens(weight: string, table: { vocab: number; width: number }): T
  /** The row of `weight` [positions, width] of every token's position in its context. */
  embedPositions(weight: string, table: { positions: number; width: number }): T
  /** Projects to the width `out`. */
  linear(x: T, options: Linear): T
  norm(x: T, norm: Norm): T
  /** Norms every head separately, with one weight and bias [dHead] for all. x [tokens, heads · dHead]. */
  headNorm(x: T, options: Norm & { heads: number; dHead: number }): T
  /**
   * The norm after the last block. Marks `ln_final.hook_normalized` before weight and bias. From here on a runtime
   * may keep only the tokens whose logits are wanted.
   */
  finalNorm(x: T, norm: FinalNorm, hooks: Hooks<T>): T
  /** The logits [tokens, vocab]: the last operation of every architecture. */
  unembed(x: T, options: Unembed): T
  /** Rotary position embedding of every head. x [tokens, heads · dHead]. */
  rotary(x: T, options: Rotary): T
  /**
   * Causal attention inside each context: softmax(scale · q kᵀ) v, head by head; `heads / kvHeads` query heads
   * share one key and value head. q [tokens, heads · dHead], k [tokens, kvHeads · dHead], v [tokens, kvHeads · dValue].
   * @returns [tokens, heads · dValue], the heads' results side by side (`hook_z`).
   */
  attention(q: T, k: T, v: T, options: AttentionOptions): T
  /**
   * Causal depthwise convolution inside each context, as torch's Conv1d with one group per channel and zeros before the
   * first token: y[t] = Σⱼ weight[:, 0, j] · x[t − kernel + 1 + j] (+ bias).
   */
  shortConv(x: T, options: ShortConv): T
  /** Cuts the width into parts. */
  split(x: T, widths: readonly number[]): T[]
  add(a: T, b: T): T
  multiply(a: T, b: T): T
  /** Every element times `factor`. */
  scale(x: T, factor: number): T
  activation(x: T, kind: Activation): T
}

export type Linear = {
  /** [out, in], or [in, out] depending on the layout. */
  weight: string
  out: number
  /** [out] */
  bias?: string
  /** Default `out_in`. */
  layout?: WeightLayout
}

/** x / √(mean square + epsilon), then weight and bias, both [width]. */
export type Norm = {
  /** `layer` removes the mean first. */
  kind: 'layer' | 'rms'
  epsilon: number
  weight?: string
  bias?: string
  /** Multiplies by 1 + weight (Gemma). Default false. */
  unitOffset?: boolean
}

/** `none`: the last block's output goes straight into the unembedding, without a hook point. */
export type FinalNorm = Norm | { kind: 'none' }

export type Unembed = {
  /** [vocab, width], or [width, vocab] depending on the layout. */
  weight: string
  vocab: number
  /** [vocab] */
  bias?: string
  /** Default `out_in`. */
  layout?: WeightLayout
  /** Multiplies the logits. Default 1. */
  scale?: number
  /** c: logits, scaled, become c · tanh(logits / c). */
  softCap?: number
}

export type Rotary = {
  heads: number
  dHead: number
  rope: RopeConfig
  /** How many of a head's first dimensions are rotated. Default all. */
  rotaryDims?: number
  /** Pairs are (0, 1), (2, 3), … (GPT-J) instead of first half with second half. Default false. */
  interleaved?: boolean
}

export type AttentionOptions = {
  layer: number
  heads: number
  kvHeads: number
  dHead: number
  /** Width of a value head. Default `dHead`. */
  dValue?: number
  scale: number
  /** Keys that a query sees, itself included, as transformers counts `sliding_window`. Default all before it. */
  window?: number
  /** c: scores become c · tanh(scale · q kᵀ / c). */
  softCap?: number
  /** A weight [heads]: a logit that joins each query's softmax and carries no value (gpt-oss). */
  sinks?: string
}

export type ShortConv = {
  layer: number
  /** Of x: every channel has its own kernel. */
  width: number
  /** [width, 1, kernel] */
  weight: string
  /** [width] */
  bias?: string
  /** Tokens that a token sees, itself included; at least 2. */
  kernel: number
}

/** Marks a hook point; its result replaces the value (the value itself if nobody intervenes). */
export type Hooks<T> = (name: string, value: T) => T

// What a decoder is made of. A model definition is one function over these operations and never knows which
// runtime gives them a meaning: `runtimes/onnx.ts` records a graph, `runtimes/oracle.ts` computes at once.
// The tokens and their positions belong to the runtime (a whole context, or the next token behind a cache),
// so no operation mentions them except the two embeddings, `rotary` and `attention`.
// Every value is a matrix [tokens, width]; the tokens of several contexts lie one context after the other.
import type { RopeConfig } from './rope.ts'

export type Activation = 'silu' | 'gelu' | 'gelu_new' | 'relu'
export const activations: readonly Activation[] = ['silu', 'gelu', 'gelu_new', 'relu']

/** `out_in`: y = x Wᵀ (torch's Linear). `in_out`: y = x W (GPT-2's Conv1D). */
export type WeightLayout = 'out_in' | 'in_out'

/** Parameters are named as in the checkpoint (see `WeightStore`). */
export interface Ops<T> {
  /** The row of `weight` [vocab, d] of every token. */
  embedTokens(weight: string): T
  /** The row of `weight` [positions, d] of every token's position in its context. */
  embedPositions(weight: string): T
  /** `bias` [out] is added where given. */
  linear(x: T, options: { weight: string; bias?: string; layout?: WeightLayout }): T
  /** Mean removed, divided by the deviation √(variance + epsilon), then weight and bias. */
  layerNorm(x: T, options: { weight: string; bias: string; epsilon: number }): T
  /** Divided by √(mean square + epsilon), then weight. */
  rmsNorm(x: T, options: { weight: string; epsilon: number }): T
  /** A norm without its weight and bias: what `ln_final.hook_normalized` shows. `centre` removes the mean. */
  normalize(x: T, options: { centre: boolean; epsilon: number }): T
  /** x · weight (+ bias), element by element along the width. */
  affine(x: T, options: { weight: string; bias?: string }): T
  /** Rotary position embedding of every head, halves rotated against each other. x [tokens, heads · dHead]. */
  rotary(x: T, options: { heads: number; dHead: number; rope: RopeConfig }): T
  /**
   * Causal attention inside each context: softmax(scale · q kᵀ) v, head by head; `heads / kvHeads` query heads
   * share one key and value head. q [tokens, heads · dHead], k and v [tokens, kvHeads · dHead].
   * @returns [tokens, heads · dHead], the heads' results side by side (`hook_z`).
   */
  attention(q: T, k: T, v: T, options: AttentionOptions): T
  /** Cuts the width into parts. */
  split(x: T, widths: readonly number[]): T[]
  add(a: T, b: T): T
  multiply(a: T, b: T): T
  activation(x: T, kind: Activation): T
}

export type AttentionOptions = {
  layer: number
  heads: number
  kvHeads: number
  dHead: number
  scale: number
}

/** Marks a hook point; what it returns takes the value's place (the value itself where nobody intervenes). */
export type Hooks<T> = (name: string, value: T) => T

// What a graph knows about its tokens: whole contexts, or new tokens after earlier ones.
import type { CausalBlock } from './onnx_attention.ts'
import type { Value } from './tape.ts'

/** The tokens a graph works on. */
export type OnnxTokens = {
  /** int32, any shape. */
  inputIds: Value
  /** int64 [tokens]: the position of each token in its context. */
  positions: Value
  /** [contexts, length] of the tokens; -1 for a length known only when the graph runs; then one context. */
  contexts: number
  length: number
  blocks: (window?: number) => readonly CausalBlock[]
  /** int64, the position of the first token [1], or of every token [contexts, length]. */
  rotaryPositions: Value
  /** Positions covered by the rotary tables. */
  farthest: number
  /** What earlier tokens left in the cache; without it every context begins here. */
  cache?: OnnxCache
  /** Whether to compute logits of the last token only. Default all. */
  lastOnly?: boolean
}

type OnnxCache = {
  /** @returns the keys [keys, kvHeads · dHead] and values of the layer that the tokens may see, their own at the end */
  append(layer: number, k: Value, v: Value): { keys: Value; values: Value }
  /** @returns a state as earlier tokens left it */
  state(layer: number, name: string): Value
  /** The state after these tokens. */
  keep(layer: number, name: string, value: Value): void
}

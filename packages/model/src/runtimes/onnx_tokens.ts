// What a graph knows of the tokens it works on: whole contexts, or new tokens behind those before them.
import type { CausalBlock } from './onnx_attention.ts'
import type { Value } from './tape.ts'

/** The tokens a graph works on. */
export type OnnxTokens = {
  /** int32, any shape. */
  inputIds: Value
  /** int64 [tokens]: the position of each token in its context. */
  positions: Value
  /** [contexts, length] of the tokens; -1 for a length known only when the graph runs, of one context then. */
  contexts: number
  length: number
  blocks: (window?: number) => readonly CausalBlock[]
  /** int64, the position of the first token [1], or of every token [contexts, length]. */
  rotaryPositions: Value
  /** Positions that the rotary tables reach. */
  farthest: number
  /** What tokens before these left behind; without it every context begins here. */
  cache?: OnnxCache
  /** Logits of the last token alone. Default of all. */
  lastOnly?: boolean
}

type OnnxCache = {
  /** @returns the keys [keys, kvHeads · dHead] and values of the layer that the tokens may see, their own at the end */
  append(layer: number, k: Value, v: Value): { keys: Value; values: Value }
  /** @returns a state as the tokens before left it */
  state(layer: number, name: string): Value
  /** The state behind these tokens. */
  keep(layer: number, name: string, value: Value): void
}

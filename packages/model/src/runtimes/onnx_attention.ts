// Causal attention as ONNX nodes. Queries are processed in blocks, so that a block uses only the keys up to its own end:
// half the work, and few masked scores. Plain MatMul and Softmax are faster here than the fused
// MultiHeadAttention and GroupQueryAttention of ONNX Runtime, which compute the whole square.
import type { AttentionOptions } from '../ops.ts'
import { integers, reshape, type Tape, type Value } from './tape.ts'

/** Some queries of every context and the keys that any of them sees. */
export type CausalBlock = {
  /**
   * Queries from `start` and keys from `from`, both before `end`. Absent: all queries and keys, as many as there are
   * when the graph runs.
   */
  range?: { start: number; end: number; from: number }
  /** float32 [queries, keys], added to the scores: 0 where a key may be seen, −∞ elsewhere. */
  mask: Value
}

/** Blocks of at least this many queries: smaller ones cost more in nodes than they save. */
const smallestBlock = 32
const mostBlocks = 16

/**
 * Scores further below a row's largest are raised to it. e⁻⁶⁰ is negligible next to 1, while e⁻⁸⁸ is a denormal
 * number: with masked scores the processor's slow path would be common (1.7 to 3 times the time).
 */
const deepest = 60

/** The blocks of contexts of `length` tokens; with a window a query sees its last `window` keys, itself included. */
export function causalBlocks(options: { tape: Tape; length: number; window?: number }): CausalBlock[] {
  const { tape, length, window = length } = options
  const size = Math.max(smallestBlock, Math.ceil(length / mostBlocks))
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => {
    const start = i * size
    const end = Math.min(start + size, length)
    const from = Math.max(0, start - window + 1)
    const [rows, columns] = [end - start, end - from]
    const mask = new Float32Array(rows * columns).fill(Number.NEGATIVE_INFINITY)
    for (let query = start; query < end; query++) {
      const at = (query - start) * columns - from
      mask.fill(0, at + Math.max(from, query - window + 1), at + query + 1)
    }
    return { range: { start, end, from }, mask: tape.constant(mask, [rows, columns]) }
  })
}

/** The blocks of each window, created on first use: layers with the same window share its masks. */
export function blocksByWindow(
  make: (window: number | undefined) => CausalBlock[],
): (window?: number) => CausalBlock[] {
  const made = new Map<number | undefined, CausalBlock[]>()
  return window => {
    const blocks = made.get(window) ?? make(window)
    made.set(window, blocks)
    return blocks
  }
}

/**
 * @param options.contexts how many contexts the rows of q, k and v divide into
 * @param options.q [tokens, heads · dHead]; k [keys, kvHeads · dHead] and v [keys, kvHeads · dValue]
 * @returns [tokens, heads · dValue]
 */
export function attention(options: {
  tape: Tape
  contexts: number
  q: Value
  k: Value
  v: Value
  blocks: readonly CausalBlock[]
  settings: AttentionOptions
}): Value {
  const { tape, contexts, q, k, v, blocks, settings } = options
  const { heads, kvHeads, dHead, dValue = dHead, scale, softCap, sinks } = settings
  const group = heads / kvHeads
  const list = (...numbers: number[]) => integers(tape, ...numbers)
  const transpose = (x: Value, ...perm: number[]) => tape.node('Transpose', [x], { perm })
  const slice = (x: Value, axis: number, start: number, end: number) =>
    tape.node('Slice', [x, list(start), list(end), list(axis)])

  const queries = transpose(reshape(tape, q, contexts, -1, kvHeads, group, dHead), 0, 2, 3, 1, 4)
  const keys = transpose(reshape(tape, k, contexts, -1, kvHeads, dHead), 0, 2, 1, 3)
  const values = transpose(reshape(tape, v, contexts, -1, kvHeads, dValue), 0, 2, 1, 3)
  const parts = blocks.map(({ range, mask }) => {
    const whole = range === undefined || blocks.length === 1
    const seen = (x: Value) => (whole ? x : slice(x, 2, range.from, range.end))
    const asked = whole ? queries : slice(queries, 3, range.start, range.end)
    // The query heads of a group become rows of one product with their key head.
    const rows = reshape(tape, asked, contexts, kvHeads, -1, dHead)
    const products = tape.node(
      'FusedMatMul',
      [rows, seen(keys)],
      { transB: 1, alpha: { float: softCap === undefined ? scale : scale / softCap } },
      { domain: 'com.microsoft' },
    )
    const scores = softCap === undefined ? products : capped(tape, products, softCap)
    // Mask and sinks are per head. Of sizes known only when the graph runs one can be inferred (-1) and one copied (0), which
    // does for whole heads; without sinks the mask is repeated instead.
    const keyCount = range === undefined ? 0 : range.end - range.from
    const byHead =
      range !== undefined
        ? [contexts, kvHeads, group, range.end - range.start, keyCount]
        : sinks !== undefined
          ? [contexts, heads, -1, keyCount]
          : undefined
    const apart = byHead === undefined ? scores : reshape(tape, scores, ...byHead)
    const repeated = byHead === undefined && group > 1
    const masked = tape.node('Add', [apart, repeated ? tape.node('Tile', [mask, list(group, 1)]) : mask])
    const ofHeads = range === undefined ? [heads, 1, 1] : [kvHeads, group, 1, 1]
    const shares =
      sinks === undefined
        ? softmax(tape, masked)
        : softmaxWithSinks(tape, masked, reshape(tape, tape.weight(sinks), ...ofHeads))
    const flat = byHead === undefined ? shares : reshape(tape, shares, contexts, kvHeads, -1, keyCount)
    return reshape(tape, tape.node('MatMul', [flat, seen(values)]), contexts, kvHeads, group, -1, dValue)
  })
  const z = parts.length === 1 ? parts[0] : tape.node('Concat', parts, { axis: 3 })
  return reshape(tape, transpose(z, 0, 3, 1, 2, 4), -1, heads * dValue)
}

/** c · tanh(x / c), of an x already divided by c. */
export const capped = (tape: Tape, x: Value, cap: number): Value =>
  tape.node('Mul', [tape.node('Tanh', [x]), tape.constant(Float32Array.of(cap), [1])])

/** The scores, none further than `deepest` below `largest`. */
const raised = (tape: Tape, scores: Value, largest: Value): Value => {
  const lowest = tape.node('Sub', [largest, tape.constant(Float32Array.of(deepest), [1])])
  return tape.node('Max', [scores, lowest])
}

function softmax(tape: Tape, scores: Value): Value {
  const largest = tape.node('ReduceMax', [scores, integers(tape, -1)], { keepdims: 1 })
  return tape.node('Softmax', [raised(tape, scores, largest)], { axis: -1 })
}

/** Softmax over the scores and one extra logit, whose share is dropped. */
function softmaxWithSinks(tape: Tape, scores: Value, sinks: Value): Value {
  const largest = tape.node('Max', [
    tape.node('ReduceMax', [scores, integers(tape, -1)], { keepdims: 1 }),
    sinks,
  ])
  const exponential = (x: Value) => tape.node('Exp', [tape.node('Sub', [x, largest])])
  const shares = exponential(raised(tape, scores, largest))
  const total = tape.node('ReduceSum', [shares, integers(tape, -1)], { keepdims: 1 })
  return tape.node('Div', [shares, tape.node('Add', [total, exponential(sinks)])])
}

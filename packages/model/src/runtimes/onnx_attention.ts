// Causal attention as ONNX nodes. Queries go in blocks, so that a block meets only the keys up to its own end:
// half the work, and the masked scores are few. Plain MatMul and Softmax are faster here than the fused
// MultiHeadAttention and GroupQueryAttention of ONNX Runtime, which compute the whole square.
import type { AttentionOptions } from '../ops.ts'
import type { Tape, Value } from './tape.ts'

/** Some queries of every context and the keys before the block's end. */
export type CausalBlock = {
  /** Left out: all queries and keys, as many as there are when the graph runs. */
  range?: { start: number; end: number }
  /** float32 [queries, keys], added to the scores: 0 where a key may be seen, −∞ elsewhere. */
  mask: Value
}

/** Blocks of at least this many queries: smaller ones cost more in nodes than they save. */
const smallestBlock = 32
const mostBlocks = 16

/**
 * Scores further below a row's largest are raised to it. e⁻⁶⁰ is nothing beside 1, while e⁻⁸⁸ is a denormal
 * number: masked scores would make the processor's slow path the common one (1.7 to 3 times the time).
 */
const deepest = 60

/** The blocks of contexts of `length` tokens. */
export function causalBlocks(options: { tape: Tape; length: number }): CausalBlock[] {
  const { tape, length } = options
  const size = Math.max(smallestBlock, Math.ceil(length / mostBlocks))
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => {
    const range = { start: i * size, end: Math.min((i + 1) * size, length) }
    const rows = range.end - range.start
    const mask = new Float32Array(rows * range.end)
    for (let row = 0; row < rows; row++) {
      const at = row * range.end
      mask.fill(Number.NEGATIVE_INFINITY, at + range.start + row + 1, at + range.end)
    }
    return { range, mask: tape.constant(mask, [rows, range.end]) }
  })
}

/**
 * @param options.contexts how many contexts the rows of q, k and v divide into
 * @param options.q [tokens, heads · dHead]; k and v [keys, kvHeads · dHead]
 * @returns [tokens, heads · dHead]
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
  const { heads, kvHeads, dHead, scale } = settings
  const group = heads / kvHeads
  const list = (...numbers: number[]) => tape.constant(BigInt64Array.from(numbers, BigInt), [numbers.length])
  const reshape = (x: Value, ...dims: number[]) => tape.node('Reshape', [x, list(...dims)])
  const transpose = (x: Value, ...perm: number[]) => tape.node('Transpose', [x], { perm })
  const slice = (x: Value, axis: number, start: number, end: number) =>
    tape.node('Slice', [x, list(start), list(end), list(axis)])

  const queries = transpose(reshape(q, contexts, -1, kvHeads, group, dHead), 0, 2, 3, 1, 4)
  const keys = transpose(reshape(k, contexts, -1, kvHeads, dHead), 0, 2, 1, 3)
  const values = transpose(reshape(v, contexts, -1, kvHeads, dHead), 0, 2, 1, 3)
  const parts = blocks.map(({ range, mask }) => {
    const whole = range === undefined || blocks.length === 1
    const seen = (x: Value) => (whole ? x : slice(x, 2, 0, range.end))
    const asked = whole ? queries : slice(queries, 3, range.start, range.end)
    // The query heads of a group become rows of one product with their key head.
    const rows = reshape(asked, contexts, kvHeads, -1, dHead)
    const scores = tape.node(
      'FusedMatMul',
      [rows, seen(keys)],
      { transB: 1, alpha: { float: scale } },
      { domain: 'com.microsoft' },
    )
    // Sizes known only when the graph runs cannot be split off again: there the mask is repeated instead.
    const masked =
      range === undefined
        ? tape.node('Add', [scores, group === 1 ? mask : tape.node('Tile', [mask, list(group, 1)])])
        : tape.node('Add', [
            reshape(scores, contexts, kvHeads, group, range.end - range.start, range.end),
            mask,
          ])
    const largest = tape.node('ReduceMax', [masked, list(-1)], { keepdims: 1 })
    const lowest = tape.node('Sub', [largest, tape.constant(Float32Array.of(deepest), [1])])
    const shares = tape.node('Softmax', [tape.node('Max', [masked, lowest])], { axis: -1 })
    const flat = range === undefined ? shares : reshape(shares, contexts, kvHeads, -1, range.end)
    return reshape(tape.node('MatMul', [flat, seen(values)]), contexts, kvHeads, group, -1, dHead)
  })
  const z = parts.length === 1 ? parts[0] : tape.node('Concat', parts, { axis: 3 })
  return reshape(transpose(z, 0, 3, 1, 2, 4), -1, heads * dHead)
}

// The operations as ONNX nodes on a tape. ONNX Runtime's own operators (domain com.microsoft) are used where one
// node replaces several passes over memory.
import type { ModelConfig } from '../config.ts'
import type { Activation, AttentionOptions, Ops } from '../ops.ts'
import { ropeTable } from '../rope.ts'
import type { Tape, Value } from './tape.ts'

/** The tokens a graph works on. */
export type OnnxTokens = {
  /** int32, any shape. */
  inputIds: Value
  /** int64 [tokens]: the position of each token in its context. */
  positions: Value
  /** [contexts, length] of the tokens; -1 for a length known only when the graph runs. */
  contexts: number
  length: number
  /** float32, added to the scores [.., length, keys]: 0 where a key may be seen, very negative elsewhere. */
  mask: Value
  /** int64, the position of the first token [1], or of every token [contexts, length]. */
  rotaryPositions: Value
  /** Keys and values of earlier tokens; returns them with the new ones appended, [keys, kvHeads · dHead]. */
  cached?: (layer: number, k: Value, v: Value) => { keys: Value; values: Value }
}

const microsoft = { domain: 'com.microsoft' }

export function onnxOps(options: { tape: Tape; config: ModelConfig; tokens: OnnxTokens }): Ops<Value> {
  const { tape, config, tokens } = options
  const { contexts, length } = tokens
  const shapeOf = (...dims: number[]) => tape.constant(BigInt64Array.from(dims, BigInt), [dims.length])
  const reshape = (x: Value, ...dims: number[]) => tape.node('Reshape', [x, shapeOf(...dims)])
  const transpose = (x: Value, ...perm: number[]) => tape.node('Transpose', [x], { perm })
  const ones = tape.constant(new Float32Array(config.dModel).fill(1), [config.dModel])
  const norm = (x: Value, centre: boolean, epsilon: number, weight: Value, bias?: Value) =>
    centre
      ? tape.node('LayerNormalization', bias === undefined ? [x, weight] : [x, weight, bias], {
          axis: -1,
          epsilon: { float: epsilon },
        })
      : tape.node('SimplifiedLayerNormalization', [x, weight], { axis: -1, epsilon: { float: epsilon } })
  const tables = new Map<string, { cos: Value; sin: Value }>()

  /** Scores of all query heads that share a key head in one product: the group is folded into the rows. */
  function attend(q: Value, k: Value, v: Value, { heads, kvHeads, dHead, scale }: AttentionOptions): Value {
    const group = heads / kvHeads
    const headsFirst = (x: Value) => transpose(reshape(x, contexts, -1, kvHeads, dHead), 0, 2, 1, 3)
    const queries =
      group === 1
        ? headsFirst(q)
        : reshape(
            transpose(reshape(q, contexts, -1, kvHeads, group, dHead), 0, 2, 3, 1, 4),
            contexts,
            kvHeads,
            -1,
            dHead,
          )
    const scores = tape.node(
      'FusedMatMul',
      [queries, headsFirst(k)],
      { transB: 1, alpha: { float: scale } },
      microsoft,
    )
    // With one query head a key head the group needs no dimension of its own.
    const seen = (x: Value) => tape.node('Softmax', [tape.node('Add', [x, tokens.mask])], { axis: -1 })
    if (group === 1) {
      const z = tape.node('MatMul', [seen(scores), headsFirst(v)])
      return reshape(transpose(z, 0, 2, 1, 3), -1, heads * dHead)
    }
    const keys = tokens.cached === undefined ? length : -1
    const grouped =
      keys === -1
        ? tape.node('Reshape', [
            scores,
            tape.node('Concat', [shapeOf(contexts, kvHeads, group, -1), lastDimension(scores)], { axis: 0 }),
          ])
        : reshape(scores, contexts, kvHeads, group, -1, keys)
    const shares = seen(grouped)
    const flat =
      keys === -1
        ? tape.node('Reshape', [
            shares,
            tape.node('Concat', [shapeOf(contexts, kvHeads, -1), lastDimension(shares)], { axis: 0 }),
          ])
        : reshape(shares, contexts, kvHeads, -1, keys)
    const z = reshape(tape.node('MatMul', [flat, headsFirst(v)]), contexts, kvHeads, group, -1, dHead)
    return reshape(transpose(z, 0, 3, 1, 2, 4), -1, heads * dHead)
  }
  const lastDimension = (x: Value) =>
    tape.node('Slice', [tape.node('Shape', [x]), shapeOf(-1), shapeOf(Number.MAX_SAFE_INTEGER)])

  return {
    embedTokens: weight => tape.node('Gather', [tape.weight(weight), reshape(tokens.inputIds, -1)]),
    embedPositions: weight => tape.node('Gather', [tape.weight(weight), tokens.positions]),
    linear(x, { weight, bias, layout = 'out_in' }) {
      const inputs = [x, tape.weight(weight)]
      if (bias !== undefined) inputs.push(tape.weight(bias))
      return tape.node('Gemm', inputs, { transB: layout === 'out_in' ? 1 : 0 })
    },
    layerNorm: (x, { weight, bias, epsilon }) =>
      norm(x, true, epsilon, tape.weight(weight), tape.weight(bias)),
    rmsNorm: (x, { weight, epsilon }) => norm(x, false, epsilon, tape.weight(weight)),
    normalize: (x, { centre, epsilon }) => norm(x, centre, epsilon, ones),
    affine(x, { weight, bias }) {
      const scaled = tape.node('Mul', [x, tape.weight(weight)])
      return bias === undefined ? scaled : tape.node('Add', [scaled, tape.weight(bias)])
    },
    rotary(x, { heads, dHead, rope }) {
      const key = JSON.stringify([rope, dHead])
      let table = tables.get(key)
      if (table === undefined) {
        const positions = tokens.cached === undefined ? length : config.nCtx
        const { cos, sin } = ropeTable({ rope, dHead, positions })
        const shape = [positions, dHead / 2]
        table = { cos: tape.constant(cos, shape), sin: tape.constant(sin, shape) }
        tables.set(key, table)
      }
      const rows = reshape(x, contexts, -1, heads * dHead)
      const turned = tape.node(
        'RotaryEmbedding',
        [rows, tokens.rotaryPositions, table.cos, table.sin],
        { interleaved: 0 },
        microsoft,
      )
      return reshape(turned, -1, heads * dHead)
    },
    attention(q, k, v, settings) {
      if (tokens.cached === undefined) return attend(q, k, v, settings)
      const { keys, values } = tokens.cached(settings.layer, k, v)
      return attend(q, keys, values, settings)
    },
    split: (x, widths) =>
      tape.nodes('Split', [x, shapeOf(...widths)], { axis: 1 }, { outputs: widths.length }),
    add: (a, b) => tape.node('Add', [a, b]),
    multiply: (a, b) => tape.node('Mul', [a, b]),
    activation: (x, kind) => curves[kind](tape, x),
  }
}

const curves: Record<Activation, (tape: Tape, x: Value) => Value> = {
  relu: (tape, x) => tape.node('Relu', [x]),
  // x · sigmoid(α x) with α = 1.
  silu: (tape, x) => tape.node('QuickGelu', [x], { alpha: { float: 1 } }, microsoft),
  gelu: (tape, x) => tape.node('Gelu', [x], {}, microsoft),
  gelu_new: (tape, x) => tape.node('FastGelu', [x], {}, microsoft),
}

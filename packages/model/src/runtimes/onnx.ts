// The operations as ONNX nodes on a tape. ONNX Runtime's own operators (domain com.microsoft) are used where one
// node replaces several passes over memory.
import type { ModelConfig } from '../config.ts'
import type { Activation, Ops } from '../ops.ts'
import { ropeTable } from '../rope.ts'
import { attention, type CausalBlock } from './onnx_attention.ts'
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
  blocks: readonly CausalBlock[]
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
  const ones = tape.constant(new Float32Array(config.dModel).fill(1), [config.dModel])
  const norm = (x: Value, centre: boolean, epsilon: number, weight: Value, bias?: Value) =>
    centre
      ? tape.node('LayerNormalization', bias === undefined ? [x, weight] : [x, weight, bias], {
          axis: -1,
          epsilon: { float: epsilon },
        })
      : tape.node('SimplifiedLayerNormalization', [x, weight], { axis: -1, epsilon: { float: epsilon } })
  const tables = new Map<string, { cos: Value; sin: Value }>()

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
      const { keys, values } = tokens.cached?.(settings.layer, k, v) ?? { keys: k, values: v }
      return attention({ tape, contexts, q, k: keys, v: values, blocks: tokens.blocks, settings })
    },
    split: (x, widths) =>
      tape.nodes('Split', [x, shapeOf(...widths)], { axis: 1 }, { outputs: widths.length }),
    add: (a, b) => tape.node('Add', [a, b]),
    multiply: (a, b) => tape.node('Mul', [a, b]),
    activation: (x, kind) => activate(tape, x, kind),
  }
}

function activate(tape: Tape, x: Value, kind: Activation): Value {
  switch (kind) {
    case 'relu':
      return tape.node('Relu', [x])
    case 'silu':
      // x · sigmoid(α x) with α = 1.
      return tape.node('QuickGelu', [x], { alpha: { float: 1 } }, microsoft)
    case 'gelu':
      return tape.node('Gelu', [x], {}, microsoft)
    case 'gelu_new': {
      // The bias of the product before it costs nothing here, and 5 % of the product's time there.
      const product = x.source.kind === 'node' && x.source.node.op === 'Gemm' ? x.source.node : undefined
      if (product?.inputs.length !== 3) return tape.node('FastGelu', [x], {}, microsoft)
      const [rows, weight, bias] = product.inputs
      const unbiased = tape.node('Gemm', [rows, weight], product.attributes)
      return tape.node('FastGelu', [unbiased, bias], {}, microsoft)
    }
  }
}

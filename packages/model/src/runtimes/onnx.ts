// The operations as ONNX nodes on a tape. ONNX Runtime's own operators (domain com.microsoft) are used where one
// node replaces several passes over memory.
import type { Attribute } from '@mistudio/tensor'
import { finalNormalized } from '../hooks.ts'
import type { Activation, Linear, Norm, Ops } from '../ops.ts'
import { ropeTable } from '../rope.ts'
import { attention, capped } from './onnx_attention.ts'
import { shortConv } from './onnx_short_conv.ts'
import type { OnnxTokens } from './onnx_tokens.ts'
import { integers, reshape, type Tape, type Value } from './tape.ts'

const microsoft = { domain: 'com.microsoft' }

export function onnxOps(options: { tape: Tape; dModel: number; tokens: OnnxTokens }): Ops<Value> {
  const { tape, dModel, tokens } = options
  const { contexts } = tokens
  const list = (...numbers: number[]) => integers(tape, ...numbers)
  const number = (value: number) => tape.constant(Float32Array.of(value), [1])
  const ones = (width: number) => tape.constant(new Float32Array(width).fill(1), [width])
  const onesOfStream = ones(dModel)
  const factor = ({ weight, unitOffset = false }: Norm): Value | undefined => {
    if (weight === undefined) return undefined
    return unitOffset ? tape.node('Add', [tape.weight(weight), number(1)]) : tape.weight(weight)
  }
  const biasOf = ({ bias }: { bias?: string }) => (bias === undefined ? undefined : tape.weight(bias))
  const plus = (x: Value, bias: Value | undefined) => (bias === undefined ? x : tape.node('Add', [x, bias]))
  const normalized = (x: Value, { kind, epsilon }: Norm, weight: Value, bias?: Value) =>
    kind === 'layer'
      ? tape.node('LayerNormalization', bias === undefined ? [x, weight] : [x, weight, bias], {
          axis: -1,
          epsilon: { float: epsilon },
        })
      : plus(
          tape.node('SimplifiedLayerNormalization', [x, weight], { axis: -1, epsilon: { float: epsilon } }),
          bias,
        )
  const linear = (x: Value, { weight, bias, layout = 'out_in' }: Omit<Linear, 'out'>) => {
    const inputs = [x, tape.weight(weight)]
    if (bias !== undefined) inputs.push(tape.weight(bias))
    return tape.node('Gemm', inputs, { transB: layout === 'out_in' ? 1 : 0 })
  }
  const lastOnly = (x: Value) =>
    tokens.lastOnly === true ? tape.node('Slice', [x, list(-1), list(Number.MAX_SAFE_INTEGER), list(0)]) : x
  const tables = new Map<string, { cos: Value; sin: Value }>()

  return {
    linear,
    embedTokens: weight => tape.node('Gather', [tape.weight(weight), reshape(tape, tokens.inputIds, -1)]),
    embedPositions: weight => tape.node('Gather', [tape.weight(weight), tokens.positions]),
    norm: (x, norm) => normalized(x, norm, factor(norm) ?? onesLike(tape, x), biasOf(norm)),
    headNorm(x, { heads, dHead, ...norm }) {
      const apart = reshape(tape, x, -1, heads, dHead)
      return reshape(
        tape,
        normalized(apart, norm, factor(norm) ?? ones(dHead), biasOf(norm)),
        -1,
        heads * dHead,
      )
    },
    finalNorm(x, norm, hooks) {
      if (norm.kind === 'none') return lastOnly(x)
      const plain = lastOnly(hooks(finalNormalized, normalized(x, norm, onesOfStream)))
      const weight = factor(norm)
      return plus(weight === undefined ? plain : tape.node('Mul', [plain, weight]), biasOf(norm))
    },
    unembed(x, { scale = 1, softCap, ...projection }) {
      const logits = linear(x, projection)
      const factor = softCap === undefined ? scale : scale / softCap
      const scaled = factor === 1 ? logits : tape.node('Mul', [logits, number(factor)])
      return softCap === undefined ? scaled : capped(tape, scaled, softCap)
    },
    rotary(x, { heads, dHead, rope, rotaryDims = dHead, interleaved = false }) {
      const key = JSON.stringify([rope, rotaryDims])
      let table = tables.get(key)
      if (table === undefined) {
        const positions = tokens.farthest
        const { cos, sin } = ropeTable({ rope, rotaryDims, positions })
        const shape = [positions, rotaryDims / 2]
        table = { cos: tape.constant(cos, shape), sin: tape.constant(sin, shape) }
        tables.set(key, table)
      }
      const rows = reshape(tape, x, contexts, -1, heads * dHead)
      const attributes: Record<string, Attribute> = { interleaved: interleaved ? 1 : 0 }
      if (rotaryDims < dHead)
        Object.assign(attributes, { rotary_embedding_dim: rotaryDims, num_heads: heads })
      const inputs = [rows, tokens.rotaryPositions, table.cos, table.sin]
      const turned = tape.node('RotaryEmbedding', inputs, attributes, microsoft)
      return reshape(tape, turned, -1, heads * dHead)
    },
    attention(q, k, v, settings) {
      const { keys, values } = tokens.cache?.append(settings.layer, k, v) ?? { keys: k, values: v }
      const blocks = tokens.blocks(settings.window)
      return attention({ tape, contexts, q, k: keys, v: values, blocks, settings })
    },
    shortConv: (x, settings) => shortConv({ tape, tokens, x, settings }),
    split: (x, widths) => tape.nodes('Split', [x, list(...widths)], { axis: 1 }, { outputs: widths.length }),
    add: (a, b) => tape.node('Add', [a, b]),
    multiply: (a, b) => tape.node('Mul', [a, b]),
    scale: (x, factor) => tape.node('Mul', [x, number(factor)]),
    activation: (x, kind) => activate(tape, x, kind),
  }
}

/** Ones of x's last dimension, whose size a value does not record. */
function onesLike(tape: Tape, x: Value): Value {
  const shape = tape.node('Shape', [x], { start: -1 })
  return tape.node('Expand', [tape.constant(Float32Array.of(1), [1]), shape])
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
      // Adding the preceding product's bias is free here; there it costs 5 % of the product's time.
      const product = x.source.kind === 'node' && x.source.node.op === 'Gemm' ? x.source.node : undefined
      if (product?.inputs.length !== 3) return tape.node('FastGelu', [x], {}, microsoft)
      const [rows, weight, bias] = product.inputs
      const unbiased = tape.node('Gemm', [rows, weight], product.attributes)
      return tape.node('FastGelu', [unbiased, bias], {}, microsoft)
    }
  }
}

// The oracle runtime: every operation in float64 over plain arrays, computed at once and written to be read.
// It is what the fast runtime is compared with; it shares no code with it but the model definitions and the
// rotary angles.

import { decode } from '../architectures.ts'
import type { ModelConfig } from '../config.ts'
import { finalNormalized } from '../hooks.ts'
import type { Activation, AttentionOptions, Ops } from '../ops.ts'
import { ropeTable } from '../rope.ts'
import type { WeightStore } from '../weights.ts'

/** Row-major [rows, width]. */
export type Matrix = { rows: number; width: number; data: Float64Array }

/** Keys and values of the tokens so far, one matrix pair a layer; `positions` counts them. */
export type OracleCache = { positions: number; keys: Matrix[]; values: Matrix[] }

export const emptyOracleCache = (): OracleCache => ({ positions: 0, keys: [], values: [] })

export const matrix = (rows: number, width: number, data = new Float64Array(rows * width)): Matrix => ({
  rows,
  width,
  data,
})

/**
 * Runs a model on one context.
 * @param options.captures hook points to return; with `logits: false` the pass ends at the last of them
 * @param options.replace values that take a hook point's place, [tokens, width]
 * @param options.add values added at a hook point
 * @param options.cache tokens before `inputIds`; their keys and values are read and the new ones appended
 */
export function runOracle(options: {
  config: ModelConfig
  weights: WeightStore
  inputIds: ArrayLike<number>
  captures?: readonly string[]
  logits?: boolean
  replace?: Record<string, Matrix>
  add?: Record<string, Matrix>
  cache?: OracleCache
}): { hooks: Map<string, Matrix>; logits?: Matrix } {
  const { config, weights, inputIds, captures = [], logits = true, replace = {}, add = {}, cache } = options
  const ops = oracleOps({ weights, inputIds, nCtx: config.nCtx, cache })
  const hooks = new Map<string, Matrix>()
  const wanted = new Set(captures)
  const mark = (name: string, computed: Matrix) => {
    let value = Object.hasOwn(replace, name) ? replace[name] : computed
    if (Object.hasOwn(add, name)) value = ops.add(value, add[name])
    // Generation needs the last token's logits alone.
    if (cache !== undefined && name === finalNormalized) value = lastRow(value)
    if (wanted.delete(name)) hooks.set(name, value)
    if (wanted.size === 0 && !logits) throw new Finished()
    return value
  }
  try {
    const result = decode(ops, config, mark)
    if (cache !== undefined) cache.positions += inputIds.length
    return { hooks, logits: result }
  } catch (error) {
    if (error instanceof Finished) return { hooks }
    throw error
  }
}

/** Ends a pass whose captures are complete. */
class Finished extends Error {}

const lastRow = ({ rows, width, data }: Matrix): Matrix => matrix(1, width, data.slice((rows - 1) * width))

/** The operations over the tokens of one context. */
export function oracleOps(options: {
  weights: WeightStore
  inputIds: ArrayLike<number>
  nCtx: number
  cache?: OracleCache
}): Ops<Matrix> {
  const { weights, inputIds, nCtx, cache } = options
  const ids = Array.from(inputIds)
  const first = cache?.positions ?? 0
  const gather = (weight: string, indices: number[]) => {
    const { shape } = weights.info(weight)
    const width = shape[1]
    const table = weights.readF32(weight)
    const result = matrix(indices.length, width)
    indices.forEach((index, i) => {
      result.data.set(table.subarray(index * width, (index + 1) * width), i * width)
    })
    return result
  }
  const normalize = (x: Matrix, centre: boolean, epsilon: number) =>
    mapRows(x, row => normalizeRow(row, centre, epsilon))
  const affine = (x: Matrix, weight: string, bias?: string) => {
    const w = weights.readF32(weight)
    const b = bias === undefined ? undefined : weights.readF32(bias)
    return mapRows(x, row => {
      for (let i = 0; i < row.length; i++) row[i] = row[i] * w[i] + (b?.[i] ?? 0)
    })
  }
  return {
    embedTokens: weight => gather(weight, ids),
    embedPositions: weight =>
      gather(
        weight,
        ids.map((_, i) => first + i),
      ),
    linear(x, { weight, bias, layout = 'out_in' }) {
      const { shape } = weights.info(weight)
      const w = weights.readF32(weight)
      const b = bias === undefined ? undefined : weights.readF32(bias)
      return layout === 'out_in' ? timesTransposed(x, w, shape[0], b) : times(x, w, shape[1], b)
    },
    layerNorm: (x, { weight, bias, epsilon }) => affine(normalize(x, true, epsilon), weight, bias),
    rmsNorm: (x, { weight, epsilon }) => affine(normalize(x, false, epsilon), weight),
    normalize: (x, { centre, epsilon }) => normalize(x, centre, epsilon),
    affine: (x, { weight, bias }) => affine(x, weight, bias),
    rotary(x, { heads, dHead, rope }) {
      const table = ropeTable({ rope, dHead, positions: Math.max(nCtx, first + ids.length) })
      const half = dHead / 2
      const result = matrix(x.rows, x.width)
      for (let row = 0; row < x.rows; row++) {
        const angles = (first + row) * half
        for (let head = 0; head < heads; head++) {
          const at = row * x.width + head * dHead
          for (let i = 0; i < half; i++) {
            const [cos, sin] = [table.cos[angles + i], table.sin[angles + i]]
            const [a, b] = [x.data[at + i], x.data[at + half + i]]
            result.data[at + i] = a * cos - b * sin
            result.data[at + half + i] = b * cos + a * sin
          }
        }
      }
      return result
    },
    attention(q, k, v, settings) {
      if (cache === undefined) return attend(q, k, v, 0, settings)
      const { layer } = settings
      cache.keys[layer] = append(cache.keys[layer], k)
      cache.values[layer] = append(cache.values[layer], v)
      return attend(q, cache.keys[layer], cache.values[layer], first, settings)
    },
    split(x, widths) {
      let start = 0
      return widths.map(width => {
        const part = matrix(x.rows, width)
        for (let row = 0; row < x.rows; row++) {
          const at = row * x.width + start
          part.data.set(x.data.subarray(at, at + width), row * width)
        }
        start += width
        return part
      })
    },
    add: (a, b) =>
      matrix(
        a.rows,
        a.width,
        a.data.map((value, i) => value + b.data[i]),
      ),
    multiply: (a, b) =>
      matrix(
        a.rows,
        a.width,
        a.data.map((value, i) => value * b.data[i]),
      ),
    activation: (x, kind) => matrix(x.rows, x.width, x.data.map(curves[kind])),
  }
}

function mapRows(x: Matrix, change: (row: Float64Array) => void): Matrix {
  const result = matrix(x.rows, x.width, x.data.slice())
  for (let row = 0; row < x.rows; row++) change(result.data.subarray(row * x.width, (row + 1) * x.width))
  return result
}

function normalizeRow(row: Float64Array, centre: boolean, epsilon: number): void {
  if (centre) {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length
    for (let i = 0; i < row.length; i++) row[i] -= mean
  }
  const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / row.length
  const scale = Math.sqrt(meanSquare + epsilon)
  for (let i = 0; i < row.length; i++) row[i] /= scale
}

/** x Wᵀ + b, W [out, in]. */
function timesTransposed(x: Matrix, w: Float32Array, out: number, b?: Float32Array): Matrix {
  const result = matrix(x.rows, out)
  const { width, data } = x
  for (let o = 0; o < out; o++) {
    const weights = w.subarray(o * width, (o + 1) * width)
    for (let row = 0; row < x.rows; row++) {
      const at = row * width
      let sum = 0
      for (let i = 0; i < width; i++) sum += data[at + i] * weights[i]
      result.data[row * out + o] = sum + (b?.[o] ?? 0)
    }
  }
  return result
}

/** x W + b, W [in, out]. */
function times(x: Matrix, w: Float32Array, out: number, b?: Float32Array): Matrix {
  const result = matrix(x.rows, out)
  for (let row = 0; row < x.rows; row++) {
    const sums = result.data.subarray(row * out, (row + 1) * out)
    if (b !== undefined) sums.set(b)
    for (let i = 0; i < x.width; i++) {
      const factor = x.data[row * x.width + i]
      const at = i * out
      for (let o = 0; o < out; o++) sums[o] += factor * w[at + o]
    }
  }
  return result
}

/** Query row i stands at position `first` + i among the keys. */
function attend(q: Matrix, k: Matrix, v: Matrix, first: number, settings: AttentionOptions): Matrix {
  const { heads, kvHeads, dHead, scale } = settings
  const result = matrix(q.rows, heads * dHead)
  const scores = new Float64Array(k.rows)
  for (let head = 0; head < heads; head++) {
    const from = Math.floor(head / (heads / kvHeads)) * dHead
    for (let row = 0; row < q.rows; row++) {
      const at = row * q.width + head * dHead
      const seen = first + row + 1
      let largest = Number.NEGATIVE_INFINITY
      for (let key = 0; key < seen; key++) {
        let dot = 0
        for (let i = 0; i < dHead; i++) dot += q.data[at + i] * k.data[key * k.width + from + i]
        scores[key] = dot * scale
        largest = Math.max(largest, scores[key])
      }
      let total = 0
      for (let key = 0; key < seen; key++) total += scores[key] = Math.exp(scores[key] - largest)
      for (let key = 0; key < seen; key++) {
        const share = scores[key] / total
        for (let i = 0; i < dHead; i++) result.data[at + i] += share * v.data[key * v.width + from + i]
      }
    }
  }
  return result
}

function append(before: Matrix | undefined, added: Matrix): Matrix {
  if (before === undefined) return added
  const joined = matrix(before.rows + added.rows, added.width)
  joined.data.set(before.data)
  joined.data.set(added.data, before.data.length)
  return joined
}

const curves: Record<Activation, (x: number) => number> = {
  relu: x => Math.max(x, 0),
  silu: x => x / (1 + Math.exp(-x)),
  gelu: x => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_new: x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
}

/** The error function to about 1e-15: its series near 0, the continued fraction of erfc further out. */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (size < 2.5) {
    // erf x = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!
    let term = size
    let sum = size
    for (let n = 1; term > sum * 1e-17; n++) sum += term *= (2 * size * size) / (2 * n + 1)
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum
  }
  // erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))))
  let fraction = size
  for (let n = 60; n >= 1; n--) fraction = size + n / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * fraction))
}

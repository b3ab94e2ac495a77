// The oracle runtime: every operation in float64 over plain arrays, computed immediately and written for clarity.
// The fast runtime is compared with it; they share no code except the model definitions and the
// rotary angles.

import { finalNormalized } from '../hooks.ts'
import type { LanguageModel } from '../load.ts'
import type { Norm, Ops } from '../ops.ts'
import { ropeTable } from '../rope.ts'
import type { WeightStore } from '../weights.ts'
import { attend, convolve, turn } from './oracle_attention.ts'
import {
  addMatrices,
  append,
  columns,
  curves,
  lastRow,
  type Matrix,
  mapRows,
  matrix,
  multiplyMatrices,
  normalizeRow,
  times,
  timesTransposed,
} from './oracle_matrix.ts'

/** What earlier tokens left, by name and layer; `positions` counts them. All keys and values are kept. */
export type OracleCache = { positions: number; held: Map<string, Matrix> }

export const emptyOracleCache = (): OracleCache => ({ positions: 0, held: new Map() })

/**
 * Runs a model on one context.
 * @param options.captures hook points to return; with `logits: false` the pass ends at the last of them
 * @param options.replace values that replace a hook point's, [tokens, width]
 * @param options.add values added at a hook point
 * @param options.cache the state of tokens before `inputIds`; it is read and extended, and only
 * the last token's logits are returned
 */
export function runOracle(options: {
  model: Pick<LanguageModel, 'config' | 'forward' | 'weights'>
  inputIds: ArrayLike<number>
  captures?: readonly string[]
  logits?: boolean
  replace?: Record<string, Matrix>
  add?: Record<string, Matrix>
  cache?: OracleCache
}): { hooks: Map<string, Matrix>; logits?: Matrix } {
  const { model, inputIds, captures = [], logits = true, replace = {}, add = {}, cache } = options
  const { config, forward, weights } = model
  const ops = oracleOps({ weights, inputIds, nCtx: config.nCtx, cache })
  const hooks = new Map<string, Matrix>()
  const wanted = new Set(captures)
  const mark = (name: string, computed: Matrix) => {
    let value = Object.hasOwn(replace, name) ? replace[name] : computed
    if (Object.hasOwn(add, name)) value = ops.add(value, add[name])
    if (wanted.delete(name)) hooks.set(name, value)
    if (wanted.size === 0 && !logits) throw new Finished()
    return value
  }
  try {
    const result = forward(ops, mark)
    if (cache !== undefined) cache.positions += inputIds.length
    return { hooks, logits: result }
  } catch (error) {
    if (error instanceof Finished) return { hooks }
    throw error
  }
}

/** Thrown to end a pass whose captures are complete. */
class Finished extends Error {}

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
  const read = (name: string | undefined) => (name === undefined ? undefined : weights.readF32(name))
  const gather = (weight: string, width: number, indices: number[]) => {
    const table = weights.readF32(weight)
    const result = matrix(indices.length, width)
    indices.forEach((index, i) => {
      result.data.set(table.subarray(index * width, (index + 1) * width), i * width)
    })
    return result
  }
  const normalize = (x: Matrix, { kind, epsilon }: Norm) =>
    mapRows(x, row => normalizeRow(row, kind === 'layer', epsilon))
  const affine = (x: Matrix, { weight, bias, unitOffset = false }: Norm) => {
    const [w, b] = [read(weight), read(bias)]
    const offset = unitOffset ? 1 : 0
    return mapRows(x, row => {
      for (let i = 0; i < row.length; i++) {
        if (w !== undefined) row[i] *= offset + w[i]
        if (b !== undefined) row[i] += b[i]
      }
    })
  }
  const norm = (x: Matrix, options: Norm) => affine(normalize(x, options), options)
  const linear: Ops<Matrix>['linear'] = (x, { weight, out, bias, layout = 'out_in' }) =>
    (layout === 'out_in' ? timesTransposed : times)(x, weights.readF32(weight), out, read(bias))
  const wanted = (x: Matrix) => (cache === undefined ? x : lastRow(x))
  /** A cache entry with new rows appended. */
  const extended = (name: string, x: Matrix): Matrix => {
    if (cache === undefined) return x
    const joined = append(cache.held.get(name), x)
    cache.held.set(name, joined)
    return joined
  }
  return {
    linear,
    norm,
    embedTokens: (weight, { width }) => gather(weight, width, ids),
    embedPositions: (weight, { width }) =>
      gather(
        weight,
        width,
        ids.map((_, i) => first + i),
      ),
    headNorm(x, { heads, dHead, ...options }) {
      const apart = norm(matrix(x.rows * heads, dHead, x.data), options)
      return matrix(x.rows, x.width, apart.data)
    },
    finalNorm: (x, options, hooks) =>
      options.kind === 'none'
        ? wanted(x)
        : affine(wanted(hooks(finalNormalized, normalize(x, options))), options),
    unembed(x, { vocab, scale = 1, softCap, ...options }) {
      const logits = linear(x, { ...options, out: vocab })
      return matrix(
        logits.rows,
        vocab,
        logits.data.map(logit =>
          softCap === undefined ? logit * scale : softCap * Math.tanh((logit * scale) / softCap),
        ),
      )
    },
    rotary(x, { dHead, rope, rotaryDims = dHead, interleaved = false }) {
      const table = ropeTable({ rope, rotaryDims, positions: Math.max(nCtx, first + ids.length) })
      return turn({ x, position: first, dHead, rotaryDims, interleaved, table })
    },
    attention(q, k, v, settings) {
      const { layer, sinks } = settings
      const [keys, values] = [extended(`keys.${layer}`, k), extended(`values.${layer}`, v)]
      return attend({ q, k: keys, v: values, settings, sinks: read(sinks) })
    },
    shortConv(x, { layer, weight, bias, kernel }) {
      const name = `conv.${layer}`
      const joined = append(cache?.held.get(name) ?? matrix(kernel - 1, x.width), x)
      const kept = joined.data.slice((joined.rows - kernel + 1) * x.width)
      cache?.held.set(name, matrix(kernel - 1, x.width, kept))
      return convolve({ x: joined, weight: weights.readF32(weight), bias: read(bias), kernel })
    },
    split(x, widths) {
      let start = 0
      return widths.map(width => {
        start += width
        return columns(x, start - width, width)
      })
    },
    add: addMatrices,
    multiply: multiplyMatrices,
    scale: (x, factor) =>
      matrix(
        x.rows,
        x.width,
        x.data.map(value => value * factor),
      ),
    activation: (x, kind) => matrix(x.rows, x.width, x.data.map(curves[kind])),
  }
}

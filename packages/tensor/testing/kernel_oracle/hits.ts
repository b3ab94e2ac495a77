// Float64 oracle of the kernels over rows of hits of varying length (assembly/hits.ts).

/** Hits in one flat list, ascending by row and latent; [from, to) is each row's span. */
export type HitLists = { index: number[]; value: number[]; row: number[]; from: number[]; to: number[] }

/** All pre + bias that are not ≤ the latent's limit. */
export function collectAbove(options: {
  pre: ArrayLike<number>
  rows: number
  m: number
  bias: ArrayLike<number>
  limit: ArrayLike<number>
  firstRow: number
  at: number
}): HitLists {
  const { pre, rows, m, bias, limit, firstRow, at } = options
  const hits: HitLists = { index: [], value: [], row: [], from: [], to: [] }
  for (let r = 0; r < rows; r++) {
    hits.from.push(at + hits.index.length)
    for (let i = 0; i < m; i++) {
      const v = Math.fround(pre[r * m + i] + bias[i])
      if (v <= limit[i]) continue
      hits.index.push(i)
      hits.value.push(v)
      hits.row.push(firstRow + r)
    }
    hits.to.push(at + hits.index.length)
  }
  return hits
}

type Spans = {
  index: ArrayLike<number>
  from: ArrayLike<number>
  to: ArrayLike<number>
  d: number
  wDec: ArrayLike<number>
}

/** init + Σ value·wDec[index] of each row's span. */
export function decodeSpans(
  options: Spans & { value: ArrayLike<number>; init: (row: number, j: number) => number },
): Float64Array {
  const { index, value, from, to, d, wDec, init } = options
  return Float64Array.from({ length: from.length * d }, (_, at) => {
    const r = Math.floor(at / d)
    let sum = init(r, at % d)
    for (let p = from[r]; p < to[r]; p++) sum += value[p] === 0 ? 0 : value[p] * wDec[index[p] * d + (at % d)]
    return sum
  })
}

/** ⟨e[row], wDec[index]⟩ of each hit. */
export function dotSpans({ index, from, to, d, wDec, e }: Spans & { e: ArrayLike<number> }): Float64Array {
  const g = new Float64Array(index.length)
  for (let r = 0; r < from.length; r++) {
    for (let p = from[r]; p < to[r]; p++)
      for (let j = 0; j < d; j++) g[p] += e[r * d + j] * wDec[index[p] * d + j]
  }
  return g
}

/** decodeSpans, the residual with its squares, and dotSpans. */
export function decodeHits(options: Parameters<typeof decodeSpans>[0] & { y: ArrayLike<number> }): {
  e: Float64Array
  sq: Float64Array
  g: Float64Array
} {
  const e = decodeSpans(options).map((value, at) => value - options.y[at])
  const sq = new Float64Array(options.from.length)
  e.forEach((value, at) => {
    sq[Math.floor(at / options.d)] += value * value
  })
  return { e, sq, g: dotSpans({ ...options, e }) }
}

/** The first position of each span whose latent is ≥ limit. */
export function splitRows(options: {
  index: ArrayLike<number>
  from: ArrayLike<number>
  to: ArrayLike<number>
  limit: number
}): number[] {
  const { index, from, to, limit } = options
  return Array.from(from, (start, r) => {
    let p = start
    while (p < to[r] && index[p] < limit) p++
    return p
  })
}

/** (pre + bias) · factor of one row. */
export const scoreRows = (
  pre: ArrayLike<number>,
  bias: ArrayLike<number>,
  factor: ArrayLike<number>,
): number[] => Array.from(pre, (value, i) => (value + bias[i]) * factor[i])

/** Values divided by their latents' factors. */
export const unscoreHits = (
  index: ArrayLike<number>,
  value: ArrayLike<number>,
  factor: ArrayLike<number>,
): number[] => Array.from(value, (v, p) => (factor[index[p]] === 0 ? v : v / factor[index[p]]))

/** What is left of one latent's gradients (all rows [d]). */
export function finishGrads(options: {
  dec: number[]
  enc: number[]
  bias: number
  touched: boolean
  scale: number
  coef: number
  segments: readonly (readonly [number, number])[]
  outer: number
  input: ArrayLike<number>
  unit: boolean
  wDec: number[]
}): { dec: number[]; enc: number[]; bias: number; squares: number } {
  const { touched, scale, coef, segments, outer, input, unit, wDec } = options
  const live = touched || outer !== 0
  const dec = options.dec.map(value => (touched ? value * scale : 0))
  const enc = options.enc.map((value, j) => (touched ? value : 0) + outer * input[j])
  const bias = options.bias + outer
  for (const [from, to] of segments) {
    const norm = Math.hypot(...wDec.slice(from, to))
    for (let j = from; j < to && norm > 0 && live; j++) dec[j] += (coef * wDec[j]) / norm
  }
  if (unit) {
    const square = wDec.reduce((sum, w) => sum + w * w, 0)
    const along = square > 0 ? dec.reduce((sum, v, j) => sum + v * wDec[j], 0) / square : 0
    for (let j = 0; j < dec.length; j++) dec[j] -= along * wDec[j]
  }
  const sum = (values: number[]) => values.reduce((total, v) => total + v * v, 0)
  return { dec, enc, bias, squares: live ? sum(dec) + sum(enc) + bias * bias : 0 }
}

// Float64 oracle of the sums over rows (assembly/statistics.ts).

/** scale · Σ_r x_r, [d]. */
export function columnSums(options: {
  x: ArrayLike<number>
  rows: number
  d: number
  scale: number
}): Float64Array {
  const { x, rows, d, scale } = options
  const out = new Float64Array(d)
  for (let p = 0; p < rows * d; p++) out[p % d] += x[p]
  return out.map(sum => sum * scale)
}

/** Σ_i coef_i · w_i over i in [lo, hi), [d]; a coefficient of 0 contributes nothing, whatever its row holds. */
export function weightedRowSum(options: {
  w: ArrayLike<number>
  coef: ArrayLike<number>
  lo: number
  hi: number
  d: number
}): Float64Array {
  const { w, coef, lo, hi, d } = options
  const out = new Float64Array(d)
  for (let i = lo; i < hi; i++) {
    if (coef[i] !== 0) for (let j = 0; j < d; j++) out[j] += coef[i] * w[i * d + j]
  }
  return out
}

/** Σ x_r [d], Σ ‖x_r‖² and the number of rows, over the rows whose mask is not 0. */
export function runningMoments(options: {
  x: ArrayLike<number>
  mask?: ArrayLike<number>
  rows: number
  d: number
}): { sum: Float64Array; sumSq: number; count: number } {
  const { x, mask, rows, d } = options
  const sum = new Float64Array(d)
  let sumSq = 0
  let count = 0
  for (let r = 0; r < rows; r++) {
    if (mask !== undefined && mask[r] === 0) continue
    count++
    for (let j = 0; j < d; j++) {
      sum[j] += x[r * d + j]
      sumSq += x[r * d + j] ** 2
    }
  }
  return { sum, sumSq, count }
}

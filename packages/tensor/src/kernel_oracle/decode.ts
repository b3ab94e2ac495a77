// Float64 oracle of residuals and exact scores (assembly/decode.ts).

/** e = x̂ − x [rows, d] and ‖e‖² [rows]. */
export function residualRows(options: {
  xhat: ArrayLike<number>
  x: ArrayLike<number>
  rows: number
  d: number
}): { e: Float64Array; sq: Float64Array } {
  const { xhat, x, rows, d } = options
  const e = Float64Array.from({ length: rows * d }, (_, i) => xhat[i] - x[i])
  const sq = new Float64Array(rows)
  e.forEach((value, i) => {
    sq[Math.floor(i / d)] += value * value
  })
  return { e, sq }
}

/** out [rows, c] = ⟨x_r, w_i⟩ + bias_i for the candidates i = cand[r, ·]. */
export function rescoreRows(options: {
  x: ArrayLike<number>
  rows: number
  d: number
  w: ArrayLike<number>
  bias?: ArrayLike<number>
  cand: ArrayLike<number>
  c: number
}): Float64Array {
  const { x, rows, d, w, bias, cand, c } = options
  return Float64Array.from({ length: rows * c }, (_, p) => {
    let sum = bias?.[cand[p]] ?? 0
    for (let j = 0; j < d; j++) sum += x[Math.floor(p / c) * d + j] * w[cand[p] * d + j]
    return sum
  })
}

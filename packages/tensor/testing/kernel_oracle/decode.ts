// Float64 oracle of residuals (assembly/decode.ts).

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

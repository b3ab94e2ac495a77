// Float64 oracle of the sparse forward kernels (assembly/decode.ts): x̂ = b_dec + Σ_i f_i·d_i, e = x̂ − x, and the
// gradient of a kept value, dL/df_i = scale · ⟨e, d_i⟩.

type Hits = { index: ArrayLike<number>; value: ArrayLike<number>; rows: number; k: number }

/** x̂ [rows, d]; a value of 0 contributes nothing, whatever its row of W_dec holds. */
export function decodeRows(
  options: Hits & { wDec: ArrayLike<number>; d: number; bDec?: ArrayLike<number> },
): Float64Array {
  const { index, value, rows, k, wDec, d, bDec } = options
  const out = new Float64Array(rows * d)
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < d; j++) {
      let sum = bDec?.[j] ?? 0
      for (let p = r * k; p < (r + 1) * k; p++) if (value[p] !== 0) sum += value[p] * wDec[index[p] * d + j]
      out[r * d + j] = sum
    }
  }
  return out
}

/** out + Σ_i f_i·d_i [rows, d]: goes on with the sum that `out` holds. */
export function decodeOnto(
  options: Hits & { wDec: ArrayLike<number>; d: number; out: ArrayLike<number> },
): Float64Array {
  const { out, ...hits } = options
  return decodeRows({ ...hits, bDec: undefined }).map((sum, i) => out[i] + sum)
}

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

/** g [rows, k] = scale · ⟨e_r, d_i⟩; 0 where the ReLU is closed (value ≤ 0), open where the value is NaN. */
export function valueGrads(
  options: Hits & { e: ArrayLike<number>; wDec: ArrayLike<number>; d: number; scale: number; relu: boolean },
): Float64Array {
  const { e, index, value, rows, k, wDec, d, scale, relu } = options
  return Float64Array.from({ length: rows * k }, (_, p) => {
    if (relu && value[p] <= 0) return 0
    let sum = 0
    for (let j = 0; j < d; j++) sum += e[Math.floor(p / k) * d + j] * wDec[index[p] * d + j]
    return scale * sum
  })
}

/** The three above in one: e, ‖e‖² and the gradients of the kept values. */
export function decodeStep(
  options: Hits & {
    wDec: ArrayLike<number>
    d: number
    bDec?: ArrayLike<number>
    x: ArrayLike<number>
    scale: number
    relu: boolean
  },
): { e: Float64Array; sq: Float64Array; g: Float64Array } {
  const { e, sq } = residualRows({ ...options, xhat: decodeRows(options) })
  return { e, sq, g: valueGrads({ ...options, e }) }
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

// Float64 oracle of the dense row kernels (assembly/dense.ts): Adam, norms, centring, scaling.

/**
 * One step of Adam on rows [lo, hi) of [·, d], in place, as PyTorch defines it (torch/optim/adam.py):
 * m = β1·m + (1 − β1)·g, v = β2·v + (1 − β2)·g², p −= lr/bc1 · m / (√v/√bc2 + ε), bc = 1 − β^step.
 * g is the gradient times `clipScale`, and 0 for rows not in `touched`.
 */
export function adamRows(options: {
  param: Float64Array
  grad: ArrayLike<number>
  m: Float64Array
  v: Float64Array
  touched?: ArrayLike<number>
  lo: number
  hi: number
  d: number
  learningRate: number
  beta1: number
  beta2: number
  epsilon: number
  correction1: number
  correction2: number
  clipScale: number
  unitNorm: boolean
}): void {
  const { param, grad, m, v, touched, lo, hi, d, learningRate, beta1, beta2, epsilon } = options
  const { correction1, correction2, clipScale, unitNorm } = options
  for (let i = lo; i < hi; i++) {
    for (let p = i * d; p < (i + 1) * d; p++) {
      const g = touched === undefined || touched[i] !== 0 ? grad[p] * clipScale : 0
      m[p] = beta1 * m[p] + (1 - beta1) * g
      v[p] = beta2 * v[p] + (1 - beta2) * g * g
      param[p] -= ((learningRate / correction1) * m[p]) / (Math.sqrt(v[p] / correction2) + epsilon)
    }
    if (unitNorm) normaliseRows({ w: param, lo: i, hi: i + 1, d })
  }
}

/** Rows [lo, hi) divided by their norm, in place; a row of zeros or with a NaN stays as it is. */
export function normaliseRows({
  w,
  lo,
  hi,
  d,
}: {
  w: Float64Array
  lo: number
  hi: number
  d: number
}): void {
  for (let i = lo; i < hi; i++) {
    const row = w.subarray(i * d, (i + 1) * d)
    const [norm] = rowNorms({ x: row, rows: 1, d })
    if (norm > 0) for (let j = 0; j < d; j++) row[j] /= norm
  }
}

/** x − b for every row, [rows, d]. */
export function centreRows(options: {
  x: ArrayLike<number>
  b: ArrayLike<number>
  rows: number
  d: number
}): Float64Array {
  const { x, b, rows, d } = options
  return Float64Array.from({ length: rows * d }, (_, p) => x[p] - b[p % d])
}

/** ‖x_r‖ [rows]. */
export function rowNorms({ x, rows, d }: { x: ArrayLike<number>; rows: number; d: number }): Float64Array {
  const out = new Float64Array(rows)
  for (let p = 0; p < rows * d; p++) out[Math.floor(p / d)] += x[p] * x[p]
  return out.map(Math.sqrt)
}

/** max |x_r| [rows], NaN if the row holds one. */
export function maxAbsRows({ x, rows, d }: { x: ArrayLike<number>; rows: number; d: number }): Float64Array {
  return Float64Array.from({ length: rows }, (_, r) =>
    Math.max(0, ...Array.from({ length: d }, (_, j) => Math.abs(x[r * d + j]))),
  )
}

/** s · x. */
export function scaleRange({ x, n, s }: { x: ArrayLike<number>; n: number; s: number }): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => x[i] * s)
}

/** a + b. */
export function addRange(options: { a: ArrayLike<number>; b: ArrayLike<number>; n: number }): Float64Array {
  return Float64Array.from({ length: options.n }, (_, i) => options.a[i] + options.b[i])
}

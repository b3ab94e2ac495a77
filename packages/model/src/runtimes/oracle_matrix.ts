// Float64 matrices for the oracle and the few things it does with them, as plain loops.
import type { Activation } from '../ops.ts'

/** Row-major [rows, width]. */
export type Matrix = { rows: number; width: number; data: Float64Array }

export const matrix = (
  rows: number,
  width: number,
  data: Float64Array = new Float64Array(rows * width),
): Matrix => ({
  rows,
  width,
  data,
})

export const addMatrices = (a: Matrix, b: Matrix): Matrix =>
  matrix(
    a.rows,
    a.width,
    a.data.map((value, i) => value + b.data[i]),
  )

export const multiplyMatrices = (a: Matrix, b: Matrix): Matrix =>
  matrix(
    a.rows,
    a.width,
    a.data.map((value, i) => value * b.data[i]),
  )

export const lastRow = ({ rows, width, data }: Matrix): Matrix =>
  matrix(1, width, data.slice((rows - 1) * width))

/** Columns `start` to `start + width`. */
export function columns(x: Matrix, start: number, width: number): Matrix {
  const part = matrix(x.rows, width)
  for (let row = 0; row < x.rows; row++) {
    const at = row * x.width + start
    part.data.set(x.data.subarray(at, at + width), row * width)
  }
  return part
}

export function mapRows(x: Matrix, change: (row: Float64Array) => void): Matrix {
  const result = matrix(x.rows, x.width, x.data.slice())
  for (let row = 0; row < x.rows; row++) change(result.data.subarray(row * x.width, (row + 1) * x.width))
  return result
}

export function normalizeRow(row: Float64Array, centre: boolean, epsilon: number): void {
  if (centre) {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length
    for (let i = 0; i < row.length; i++) row[i] -= mean
  }
  const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / row.length
  const scale = Math.sqrt(meanSquare + epsilon)
  for (let i = 0; i < row.length; i++) row[i] /= scale
}

/** x Wᵀ + b, W [out, in]. */
export function timesTransposed(x: Matrix, w: Float32Array, out: number, b?: Float32Array): Matrix {
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
export function times(x: Matrix, w: Float32Array, out: number, b?: Float32Array): Matrix {
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

export function append(before: Matrix | undefined, added: Matrix): Matrix {
  if (before === undefined) return added
  const joined = matrix(before.rows + added.rows, added.width)
  joined.data.set(before.data)
  joined.data.set(added.data, before.data.length)
  return joined
}

export const curves: Record<Activation, (x: number) => number> = {
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

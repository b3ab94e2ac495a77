// Oracle of the eight-bit kernels (assembly/quantise.ts). The scale and the quotient are rounded to float32 as the
// kernel has them, so that levels can be compared exactly.

/** Scale [rows] = max |x_r| / most, and levels round(x / scale) in −most … most, halves to even. */
function quantiseRows(options: { x: ArrayLike<number>; rows: number; d: number; most: number }): {
  level: Int32Array
  scale: Float32Array
} {
  const { x, rows, d, most } = options
  const level = new Int32Array(rows * d)
  const scale = new Float32Array(rows)
  for (let r = 0; r < rows; r++) {
    const row = Array.from({ length: d }, (_, j) => x[r * d + j])
    const s = Math.fround(Math.max(0, ...row.map(Math.abs)) / most)
    scale[r] = s
    if (!(s > 0 && s < Number.POSITIVE_INFINITY)) continue
    row.forEach((value, j) => {
      level[r * d + j] = Math.max(-most, Math.min(most, roundHalfEven(Math.fround(value / s))))
    })
  }
  return { level, scale }
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  if (x - floor !== 0.5) return Math.round(x)
  return floor % 2 === 0 ? floor : floor + 1
}

/** Levels −127 … 127 stored with 128 added, [rows, d]; a row of scale 0, NaN or ∞ gives zero levels. */
export function quantiseRowsU8(options: { x: ArrayLike<number>; rows: number; d: number }): {
  level: Uint8Array
  scale: Float32Array
} {
  const { level, scale } = quantiseRows({ ...options, most: 127 })
  return { level: Uint8Array.from(level, value => value + 128), scale }
}

/** Signed levels of `bits` bits of `w` [m, d], transposed to [d, m]. */
export function quantiseTransposeI8(options: { w: ArrayLike<number>; m: number; d: number; bits: number }): {
  level: Int8Array
  scale: Float32Array
} {
  const { w, m, d, bits } = options
  const { level, scale } = quantiseRows({ x: w, rows: m, d, most: 2 ** (bits - 1) - 1 })
  return { level: Int8Array.from({ length: d * m }, (_, p) => level[(p % m) * d + Math.floor(p / m)]), scale }
}

// Float64 oracle of the selection kernels (assembly/topk.ts).
// Pre-activations are rounded to float32 once, as the kernel sees them: a selection is exact, not approximate.

/** Indices (ascending) and values of the k largest entries of each row; ties go to the lowest index. */
export type Selected = { index: Int32Array; value: Float32Array }

/**
 * Row top-k of `pre` [rows, m] (row stride `ld`) plus `bias` [m].
 * A row that holds a NaN selects 0 … k−1 with NaN values. With `relu`, values that are not positive become 0.
 */
export function topkRows(options: {
  pre: ArrayLike<number>
  ld?: number
  rows: number
  m: number
  bias?: ArrayLike<number>
  k: number
  relu: boolean
}): Selected {
  const { pre, rows, m, ld = m, bias, k, relu } = options
  const index = new Int32Array(rows * k)
  const value = new Float32Array(rows * k)
  for (let r = 0; r < rows; r++) {
    const row = Array.from({ length: m }, (_, i) => Math.fround(pre[r * ld + i] + (bias?.[i] ?? 0)))
    const broken = row.some(Number.isNaN)
    const order = row.map((_, i) => i)
    // `>` and `<` instead of a difference: ∞ − ∞ is NaN.
    if (!broken) order.sort((a, b) => Number(row[b] > row[a]) - Number(row[b] < row[a]) || a - b)
    const kept = order.slice(0, k).sort((a, b) => a - b)
    kept.forEach((i, at) => {
      index[r * k + at] = i
      value[r * k + at] = broken ? Number.NaN : relu && row[i] <= 0 ? 0 : row[i]
    })
  }
  return { index, value }
}

/** out[r, j] = pre[r, cols[j]] + bias[cols[j]] as float32, [rows, cols]. */
export function gatherColumns(options: {
  pre: ArrayLike<number>
  ld: number
  rows: number
  bias?: ArrayLike<number>
  cols: ArrayLike<number>
}): Float32Array {
  const { pre, ld, rows, bias, cols } = options
  const n = cols.length
  return Float32Array.from(
    { length: rows * n },
    (_, p) => pre[Math.floor(p / n) * ld + cols[p % n]] + (bias?.[cols[p % n]] ?? 0),
  )
}

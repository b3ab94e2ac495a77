// The geometric median of a batch: the point with the least sum of distances, which outliers hardly move. TopK SAEs start
// b_dec there (Gao et al. 2024, arXiv 2406.04093, appendix A.1).

/** Weiszfeld's iteration from the mean in float64: at most 100 steps, or until it moves less than 1e-5 of its norm. */
export function geometricMedian(options: { rows: Float32Array; width: number }): Float64Array {
  const { rows, width } = options
  const count = rows.length / width
  let centre = columnMeans({ rows, width })
  for (let iteration = 0; iteration < 100; iteration++) {
    const sum = new Float64Array(width)
    let weights = 0
    for (let r = 0; r < count; r++) {
      const at = r * width
      let square = 0
      for (let j = 0; j < width; j++) square += (rows[at + j] - centre[j]) ** 2
      // A row at the centre would have infinite weight, so this step skips it.
      if (square === 0) continue
      const weight = 1 / Math.sqrt(square)
      weights += weight
      for (let j = 0; j < width; j++) sum[j] += weight * rows[at + j]
    }
    if (weights === 0) return centre
    let moved = 0
    let norm = 0
    for (let j = 0; j < width; j++) {
      sum[j] /= weights
      moved += (sum[j] - centre[j]) ** 2
      norm += sum[j] ** 2
    }
    centre = sum
    if (moved <= 1e-10 * norm) break
  }
  return centre
}

/** The mean of rows [n, width] in float64. */
export function columnMeans(options: { rows: Float32Array; width: number }): Float64Array {
  const { rows, width } = options
  const sum = new Float64Array(width)
  for (let at = 0; at < rows.length; at += width) {
    for (let j = 0; j < width; j++) sum[j] += rows[at + j]
  }
  const count = rows.length / width
  return sum.map(value => value / count)
}

// Float64 oracle of what normalises rows and sums over them (assembly/rows.ts).

export function tokenRmsRows(row: number[]): number[] {
  const norm = Math.hypot(...row)
  return norm > 0 ? row.map(v => (v * Math.sqrt(row.length)) / norm) : row
}

/** (x − μ)/(σ + 1e-5), σ over d − 1. */
export function layerNormRows(row: number[]): number[] {
  const mean = row.reduce((sum, v) => sum + v, 0) / row.length
  const square = row.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  const deviation = Math.sqrt(square / Math.max(row.length - 1, 1))
  return row.map(v => (v - mean) / (deviation + 1e-5))
}

/** Column sums of y, y², e² and the totals Σ‖x̂‖², Σ x̂·y, Σ cos, Σ ‖x̂‖/‖y‖. */
export function reconstructionSums(
  y: number[][],
  e: number[][],
  scale: number,
): { columns: number[]; totals: number[] } {
  const d = y[0]?.length ?? 0
  const columns = new Array<number>(3 * d).fill(0)
  const totals = [0, 0, 0, 0]
  y.forEach((row, r) => {
    let [yy, hh, hy] = [0, 0, 0]
    row.forEach((v, j) => {
      const error = scale * e[r][j]
      const h = v + error
      columns[j] += v
      columns[d + j] += v * v
      columns[2 * d + j] += error * error
      yy += v * v
      hh += h * h
      hy += h * v
    })
    totals[0] += hh
    totals[1] += hy
    if (yy > 0 && hh > 0) totals[2] += hy / Math.sqrt(yy * hh)
    if (yy > 0) totals[3] += Math.sqrt(hh / yy)
  })
  return { columns, totals }
}

/** Σ over segments of the norm of the row on that span. */
export const segmentNorms = (row: number[], segments: readonly (readonly [number, number])[]): number =>
  segments.reduce((sum, span) => sum + Math.hypot(...row.slice(...span)), 0)

export const combineRange = (a: ArrayLike<number>, ca: number, b: ArrayLike<number>, cb: number): number[] =>
  Array.from(a, (value, i) => ca * value + cb * b[i])

// Float64 oracle of the screened encode (assembly/screen.ts). Scores are rounded to float32 where the kernel stores them, so
// selections are exact.

type Encoded = {
  rows: number
  m: number
  x: ArrayLike<number>
  d: number
  w: ArrayLike<number>
  bias: ArrayLike<number>
  factor?: ArrayLike<number>
}

function product({ x, d, w }: Encoded, row: number, latent: number): number {
  let sum = 0
  for (let j = 0; j < d; j++) sum += x[row * d + j] * w[latent * d + j]
  return sum
}

/** (pre · scale[row] + bias) · factor and, on top, four times the largest error of the row's probes. */
export function upperScores(
  options: Encoded & { pre: ArrayLike<number>; scale: ArrayLike<number>; probes: number },
): Float64Array {
  const { pre, rows, m, scale, bias, factor, probes } = options
  const scaled = (r: number, i: number) => (pre[r * m + i] * scale[r] + bias[i]) * (factor?.[i] ?? 1)
  const margins = Array.from({ length: rows }, (_, r) => {
    const errors = Array.from({ length: probes }, (_, t) => {
      const i = (Math.floor((t * m) / probes) + r) % m
      return Math.abs(scaled(r, i) - (product(options, r, i) + bias[i]) * (factor?.[i] ?? 1))
    })
    const most = Math.max(0, ...errors)
    return Number.isNaN(most) ? Number.POSITIVE_INFINITY : 4 * most
  })
  return Float64Array.from(
    { length: rows * m },
    (_, p) => scaled(Math.floor(p / m), p % m) + margins[Math.floor(p / m)],
  )
}

/**
 * The k best by exact score among the c (or `wide`) latents with each row's highest bounds, and the number of rows that
 * neither settles: NaN, a score above its bound, or a k-th score below the lowest bound.
 */
export function screenRows(
  options: Encoded & { pre: ArrayLike<number>; k: number; c: number; wide: number },
): { index: Int32Array; value: Float32Array; unsettled: number } {
  const { pre, rows, m, bias, factor, k, c, wide } = options
  const index = new Int32Array(rows * k)
  const value = new Float32Array(rows * k)
  let unsettled = 0
  for (let r = 0; r < rows; r++) {
    const all = Array.from({ length: m }, (_, latent) => {
      const sum = Math.fround(Math.fround(product(options, r, latent)) + bias[latent])
      return { latent, score: Math.fround(sum * (factor?.[latent] ?? 1)), bound: pre[r * m + latent] }
    })
    const best = (among: typeof all, by: 'score' | 'bound', count: number) =>
      [...among]
        .sort((a, b) => Number(b[by] > a[by]) - Number(b[by] < a[by]) || a.latent - b.latent)
        .slice(0, count)
    const take = (count: number) => {
      const candidates = best(all, 'bound', count)
      const above = Math.max(...candidates.map(({ score, bound }) => score - bound))
      const kept = best(candidates, 'score', k)
      const floor = Math.min(...candidates.map(({ bound }) => bound))
      const settled = count === m || (above <= 0 && Math.max(kept.at(-1)!.score, 0) >= floor)
      return { kept, above, settled }
    }
    const first = take(c)
    const { kept, above, settled } = first.settled || wide === c ? first : take(wide)
    const broken = Number.isNaN(above) || all.some(({ bound }) => Number.isNaN(bound))
    if (broken || !settled) unsettled++
    kept.sort((a, b) => a.latent - b.latent)
    for (let i = 0; i < k; i++) {
      index[r * k + i] = broken ? i : kept[i].latent
      value[r * k + i] = broken ? Number.NaN : Math.max(kept[i].score, 0)
    }
  }
  return { index, value, unsettled }
}

/** (exact + bias) · factor of every hit, and the largest excess over the value before. */
export function settleSpans(options: {
  index: ArrayLike<number>
  value: ArrayLike<number>
  exact: ArrayLike<number>
  bias: ArrayLike<number>
  factor?: ArrayLike<number>
}): { value: Float64Array; above: number } {
  const { index, value, exact, bias, factor } = options
  const settled = Float64Array.from(
    { length: index.length },
    (_, p) => (exact[p] + bias[index[p]]) * (factor?.[index[p]] ?? 1),
  )
  const above = settled.reduce((most, v, p) => Math.max(most, v - value[p]), Number.NEGATIVE_INFINITY)
  return { value: settled, above }
}

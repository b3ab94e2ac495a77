// Float64 oracle of the screened encode (assembly/screen.ts, assembly/candidates.ts, assembly/settle.ts). Scores are rounded to float32 where the kernel stores them, so
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

/** The t-th latent on which a row's error is measured. */
const probeOf = (t: number, r: number, m: number, probes: number) =>
  (Math.floor((t * m) / probes) + (r >> 4)) % m

/** (pre · scale[row] + bias) · factor and, on top, four times the largest error of the row's probes. */
export function upperScores(
  options: Encoded & { pre: ArrayLike<number>; scale: ArrayLike<number>; probes: number },
): Float64Array {
  const { pre, rows, m, scale, bias, factor, probes } = options
  const scaled = (r: number, i: number) => (pre[r * m + i] * scale[r] + bias[i]) * (factor?.[i] ?? 1)
  const margins = Array.from({ length: rows }, (_, r) => {
    const errors = Array.from({ length: probes }, (_, t) => {
      const i = probeOf(t, r, m, probes)
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

/** A row's exact scores as the kernels store them. */
function exactScores(options: Encoded, r: number): { latent: number; score: number }[] {
  const { m, bias, factor } = options
  return Array.from({ length: m }, (_, latent) => {
    const sum = Math.fround(Math.fround(product(options, r, latent)) + bias[latent])
    return { latent, score: Math.fround(sum * (factor?.[latent] ?? 1)) }
  })
}

/** The k highest of scores without NaN, ties to the lower latent, by latent; what is not positive becomes 0. */
function highest(scores: readonly { latent: number; score: number }[], k: number) {
  return [...scores]
    .sort((a, b) => Number(b.score > a.score) - Number(b.score < a.score) || a.latent - b.latent)
    .slice(0, k)
    .sort((a, b) => a.latent - b.latent)
    .map(({ latent, score }) => ({ latent, value: Math.max(score, 0) }))
}

/** The k best by exact score among the c latents that `pre` ranks highest; latents 0 … k−1 with NaN where there is one. */
export function rescoreRows(options: Encoded & { pre: ArrayLike<number>; k: number; c: number }): {
  index: Int32Array
  value: Float32Array
} {
  const { pre, rows, m, k, c } = options
  const kept = Array.from({ length: rows }, (_, r) => {
    const given = Array.from({ length: m }, (_, latent) => ({ latent, score: pre[r * m + latent] }))
    const exact = exactScores(options, r)
    const candidates = highest(given, c).map(({ latent }) => exact[latent])
    const broken = [...given, ...candidates].some(({ score }) => Number.isNaN(score))
    if (broken) return Array.from({ length: k }, (_, latent) => ({ latent, value: Number.NaN }))
    return highest(candidates, k)
  }).flat()
  return {
    index: Int32Array.from(kept, ({ latent }) => latent),
    value: Float32Array.from(kept, ({ value }) => value),
  }
}

/** Of one block: all scores (pre · scale[row] + bias) · factor, and each row's largest error on its probes. */
export function gatherCandidates(
  options: Encoded & { pre: ArrayLike<number>; scale: ArrayLike<number>; probes: number },
): { scores: Float64Array; errors: Float64Array } {
  const { pre, rows, m, scale, bias, factor, probes } = options
  const scores = Float64Array.from({ length: rows * m }, (_, p) => {
    const [r, i] = [Math.floor(p / m), p % m]
    return (pre[p] * scale[r] + bias[i]) * (factor?.[i] ?? 1)
  })
  const errors = Float64Array.from({ length: rows }, (_, r) => {
    const each = Array.from({ length: probes }, (_, t) => {
      const i = probeOf(t, r, m, probes)
      return Math.abs(scores[r * m + i] - (product(options, r, i) + bias[i]) * (factor?.[i] ?? 1))
    })
    return Math.max(0, ...each)
  })
  return { scores, errors }
}

/** The k latents with the largest exact scores of all. */
export function settleCandidates(options: Encoded & { k: number }): {
  index: Int32Array
  value: Float32Array
} {
  const kept = Array.from({ length: options.rows }, (_, r) =>
    highest(exactScores(options, r), options.k),
  ).flat()
  return {
    index: Int32Array.from(kept, ({ latent }) => latent),
    value: Float32Array.from(kept, ({ value }) => value),
  }
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

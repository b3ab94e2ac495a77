// The first pass of an evaluation: what an SAE makes of the activations, added up token by token. The columns of all
// output hook points are concatenated, as in the SAE; each hook point also has its own sums.
import { emptySums, type HitList, type HookSpan, l0Bin, type MetricSums, type Sae } from '@mistudio/sae'

/** Sums of one SAE over the unmasked tokens, and what only other tools' reports need. */
export type EvaluationSums = MetricSums & {
  /** Masked positions: neither scored nor replaced. */
  maskedTokens: number
  /** Sums of each output hook point, in the SAE's order; counts of latents are those of the whole SAE. */
  hooks: { hook: string; sums: MetricSums }[]
  /** Contexts in which each latent fired at an unmasked token, [d_sae]. */
  firedContexts: Float64Array
  /** Σ over tokens of 1 − ‖y − x̂‖² / ‖y − ȳ_batch‖²: SAEBench's `explained_variance_legacy`, an average of ratios. */
  legacyExplained: number
}

export function emptyEvaluationSums(sae: Pick<Sae, 'shape' | 'hooks'>): EvaluationSums {
  const { dOut, dSae } = sae.shape
  const all = emptySums({ dOut, dSae })
  return {
    ...all,
    maskedTokens: 0,
    firedContexts: new Float64Array(dSae),
    legacyExplained: 0,
    hooks: spansOf(sae.hooks.outputs).map(({ hook, from, to }) => ({
      hook,
      sums: {
        ...emptySums({ dOut: 0, dSae }),
        squaredError: all.squaredError.subarray(from, to),
        sum: all.sum.subarray(from, to),
        sumSquares: all.sumSquares.subarray(from, to),
      },
    })),
  }
}

const spansOf = (hooks: readonly HookSpan[]) => {
  let from = 0
  return hooks.map(({ hook, width }) => ({ hook, from, to: (from += width) }))
}

/** Adds one batch. `y` and `reconstruction`: float32 [rows, width] for each output hook point. */
export function addBatch(options: {
  sums: EvaluationSums
  y: readonly Float32Array[]
  reconstruction: readonly Float32Array[]
  hits: readonly HitList[]
  /** 1 where a token counts, [rows]. */
  mask: Uint8Array
  rows: number
  contextSize: number
}): void {
  const { sums, y, reconstruction, mask, rows } = options
  const means = y.map(values => meanRow(values, mask, rows))
  for (let r = 0; r < rows; r++) {
    if (mask[r] === 0) {
      sums.maskedTokens++
      continue
    }
    let error = 0
    let deviation = 0
    const joint = { squares: 0, reconstructed: 0, product: 0 }
    sums.hooks.forEach((hook, h) => {
      const row = addRow(hook.sums, y[h], reconstruction[h], r)
      addLengths(hook.sums, row)
      const mean = means[h]
      for (let j = 0; j < mean.length; j++) deviation += (y[h][r * mean.length + j] - mean[j]) ** 2
      error += row.error
      joint.squares += row.squares
      joint.reconstructed += row.reconstructed
      joint.product += row.product
    })
    addLengths(sums, joint)
    sums.legacyExplained += 1 - error / deviation
  }
  addHits(options)
}

type Lengths = { squares: number; reconstructed: number; product: number }

/** Per-dimension sums of one row; these arrays are views of the whole SAE's. */
function addRow(sums: MetricSums, y: Float32Array, reconstruction: Float32Array, r: number) {
  const { squaredError, sum, sumSquares } = sums
  const width = sum.length
  const row = { squares: 0, reconstructed: 0, product: 0, error: 0 }
  for (let j = 0, at = r * width; j < width; j++, at++) {
    const a = y[at]
    const b = reconstruction[at]
    const off = (a - b) * (a - b)
    sum[j] += a
    sumSquares[j] += a * a
    squaredError[j] += off
    row.error += off
    row.squares += a * a
    row.reconstructed += b * b
    row.product += a * b
  }
  return row
}

/** Norms below this count as 1 in ‖x̂‖/‖y‖ (SAELens). */
const leastNorm = 1e-4

function addLengths(sums: MetricSums, { squares, reconstructed, product }: Lengths): void {
  const norm = Math.sqrt(squares)
  const reconstructionNorm = Math.sqrt(reconstructed)
  sums.rows++
  sums.reconstructionSquares += reconstructed
  sums.product += product
  sums.norm += norm
  sums.reconstructionNorm += reconstructionNorm
  sums.normRatio += reconstructionNorm / (norm < leastNorm ? 1 : norm)
  if (norm !== 0 && reconstructionNorm !== 0) sums.cosine += product / (norm * reconstructionNorm)
}

function meanRow(values: Float32Array, mask: Uint8Array, rows: number): Float64Array {
  const width = values.length / mask.length
  const mean = new Float64Array(width)
  let count = 0
  for (let r = 0; r < rows; r++) {
    if (mask[r] === 0) continue
    count++
    for (let j = 0; j < width; j++) mean[j] += values[r * width + j]
  }
  return mean.map(value => value / count)
}

/** Counts of latents: firing per token, tokens and contexts of each latent. */
function addHits(options: Parameters<typeof addBatch>[0]): void {
  const { sums, hits, mask, contextSize } = options
  const { fired, firedContexts, l0Histogram } = sums
  // The context in which a latent last fired, numbered within the batch.
  const seen = new Int32Array(fired.length).fill(-1)
  for (const { firstRow, rows, starts, index, value } of hits) {
    for (let r = 0; r < rows; r++) {
      const row = firstRow + r
      if (mask[row] === 0) continue
      const context = Math.floor(row / contextSize)
      let firing = 0
      for (let i = starts[r]; i < starts[r + 1]; i++) {
        if (!(value[i] > 0)) continue
        const latent = index[i]
        firing++
        sums.l1 += value[i]
        fired[latent]++
        if (seen[latent] === context) continue
        seen[latent] = context
        firedContexts[latent]++
      }
      sums.firing += firing
      l0Histogram[l0Bin(firing)]++
    }
  }
}

// The arithmetic of training's finish/finalise.ts: folds decoder norms, scalars and whitening into the weights, in place.
// Sums are float64; every group of latents uses its own columns.

import { type GroupRows, groupRows, overlap } from './group_rows.ts'
import type { Normaliser } from './normaliser.ts'
import type { SaeWeights } from './sae.ts'
import type { LatentGroup, Span } from './shape.ts'

type Parts = { groups: readonly LatentGroup[]; weights: SaeWeights }
type Affine = Extract<Normaliser, { kind: 'whiten' | 'scale' }>

export function copyWeights(weights: SaeWeights): SaeWeights {
  return Object.fromEntries(
    Object.entries(weights)
      .filter(([, values]) => values !== undefined)
      .map(([name, values]) => [name, values.slice()]),
  ) as SaeWeights
}

/** n_i = Σ over `normSegments` of the norm of latent i's decoder row in that span of columns, float64 [d_sae]. */
export function outputNorms({
  groups,
  weights: { wDec, bEnc },
  normSegments,
}: Parts & { normSegments: readonly Span[] }): Float64Array {
  const norms = new Float64Array(bEnc.length)
  for (const { latents, output, count, writes, decoderAt } of groupRows(groups)) {
    for (const segment of normSegments) {
      const span = overlap(segment, output)
      if (span === undefined) continue
      for (let i = 0; i < count; i++) {
        const row = decoderAt + i * writes - output[0]
        let squares = 0
        for (let j = row + span[0]; j < row + span[1]; j++) squares += wDec[j] * wDec[j]
        norms[latents[0] + i] += Math.sqrt(squares)
      }
    }
  }
  return norms
}

/**
 * Encoder rows, biases and θ times n, decoder rows divided by it: the reconstruction is unchanged, activations become f·n. A
 * latent of norm 0 writes nothing; if the score is normed its score stays 0, otherwise the latent is unchanged.
 */
export function foldNorms(options: Parts & { norms: Float64Array; normedScore: boolean }): void {
  const { groups, weights, norms, normedScore } = options
  const { wEnc, wDec, bEnc, bMag, threshold } = weights
  for (const { latents, count, reads, writes, encoderAt, decoderAt } of groupRows(groups)) {
    for (let i = 0; i < count; i++) {
      const latent = latents[0] + i
      const norm = norms[latent]
      if (norm === 0 && !normedScore) continue
      scaleRow(wEnc, encoderAt + i * reads, reads, norm)
      if (norm > 0) scaleRow(wDec, decoderAt + i * writes, writes, 1 / norm)
      for (const values of [bEnc, bMag, threshold]) if (values !== undefined) values[latent] *= norm
    }
  }
}

function scaleRow(values: Float32Array, from: number, length: number, factor: number): void {
  for (let j = from; j < from + length; j++) values[j] *= factor
}

/**
 * Folds the input normalisation: scale s: W_enc·s; whitening z = (x − μ)Mᵀ: W_enc M, and unless b_dec is subtracted
 * (which then includes μ) the biases lose W_enc M μ, r_mag's path its own share. W_skip reads the same columns.
 */
export function foldReads(
  options: Parts & { spans: readonly Span[]; normalisers: readonly Normaliser[]; centred: boolean },
): void {
  const { groups, weights, spans, normalisers, centred } = options
  const { wEnc, bEnc, bMag, rMag, wSkip, bDec } = weights
  const dIn = spans.at(-1)![1]
  spans.forEach((span, hook) => {
    const normaliser = normalisers[hook]
    if (!isAffine(normaliser)) return
    const mean = normaliser.kind === 'whiten' ? normaliser.mean : undefined
    const read = readMap(normaliser, span)
    for (const { latents, count, reads, input, encoderAt } of groupRows(groups)) {
      const shared = wholeSpan(span, input, normaliser)
      if (shared === undefined) continue
      for (let i = 0; i < count; i++) {
        const row = wEnc
          .subarray(encoderAt + i * reads - input[0] + shared[0])
          .subarray(0, shared[1] - shared[0])
        read(row)
        if (mean === undefined || centred) continue
        const shift = dot(row, mean)
        const latent = latents[0] + i
        bEnc[latent] -= shift
        if (bMag !== undefined) bMag[latent] -= shift * Math.exp(rMag![latent])
      }
    }
    if (wSkip === undefined) return
    for (let o = 0; o < bDec.length; o++) {
      const row = wSkip.subarray(o * dIn + span[0], o * dIn + span[1])
      read(row)
      if (mean !== undefined) bDec[o] -= dot(row, mean)
    }
  })
}

/** Undoes the target normalisation: scale s: W_dec, b_dec and W_skip / s; whitening: times M⁻¹ᵀ, b_dec + μ. */
export function foldOutputs(
  options: Parts & { spans: readonly Span[]; normalisers: readonly Normaliser[] },
): void {
  const { groups, weights, spans, normalisers } = options
  const { wDec, bDec, wSkip } = weights
  const dOut = spans.at(-1)![1]
  spans.forEach((span, hook) => {
    const normaliser = normalisers[hook]
    if (!isAffine(normaliser)) return
    const write = writeMap(normaliser, span)
    for (const { count, writes, output, decoderAt } of groupRows(groups)) {
      const shared = wholeSpan(span, output, normaliser)
      if (shared === undefined) continue
      for (let i = 0; i < count; i++) {
        write(
          wDec.subarray(decoderAt + i * writes - output[0] + shared[0]).subarray(0, shared[1] - shared[0]),
        )
      }
    }
    const bias = bDec.subarray(...span)
    write(bias)
    if (normaliser.kind === 'whiten') for (let j = 0; j < bias.length; j++) bias[j] += normaliser.mean[j]
    if (wSkip === undefined) return
    const columns = wSkip.length / dOut
    const column = new Float32Array(span[1] - span[0])
    for (let c = 0; c < columns; c++) {
      for (let o = span[0]; o < span[1]; o++) column[o - span[0]] = wSkip[o * columns + c]
      write(column)
      for (let o = span[0]; o < span[1]; o++) wSkip[o * columns + c] = column[o - span[0]]
    }
  })
}

const isAffine = (normaliser: Normaliser): normaliser is Affine =>
  normaliser.kind === 'scale' || normaliser.kind === 'whiten'

/** A group's columns of a hook point; whitening mixes all of them, so a group has all or none. */
function wholeSpan(span: Span, group: GroupRows['input'], { kind }: Affine): Span | undefined {
  const shared = overlap(span, group)
  if (shared !== undefined && kind === 'whiten' && shared[1] - shared[0] !== span[1] - span[0]) {
    throw new Error('a group of latents has a part of the columns of a whitened hook point')
  }
  return shared
}

/** w → w·s or w·M, in place. */
function readMap(normaliser: Affine, [from, to]: Span): (row: Float32Array) => void {
  if (normaliser.kind === 'scale') return row => scaleRow(row, 0, row.length, normaliser.scale)
  const { matrix } = normaliser
  const d = to - from
  const sums = new Float64Array(d)
  return row => {
    sums.fill(0)
    for (let i = 0; i < d; i++) {
      const w = row[i]
      if (w !== 0) for (let j = 0; j < d; j++) sums[j] += w * matrix[i * d + j]
    }
    row.set(sums)
  }
}

/** d → d/s or d·M⁻¹ᵀ, in place. */
function writeMap(normaliser: Affine, [from, to]: Span): (row: Float32Array) => void {
  if (normaliser.kind === 'scale') return row => scaleRow(row, 0, row.length, 1 / normaliser.scale)
  const { inverse } = normaliser
  const d = to - from
  const sums = new Float64Array(d)
  return row => {
    for (let j = 0; j < d; j++) sums[j] = dot(row, inverse.subarray(j * d, j * d + d))
    row.set(sums)
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

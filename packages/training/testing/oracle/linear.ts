// The linear maps of a plan in float64: where each latent's rows lie, encoder, nested decoder, decoder norms.

import type { Span } from '@mistudio/sae'
import type { Level, Plan } from '../../src/plan.ts'
import { type LatentRow, latentRows, type OracleWeights } from './weights.ts'

/** z = (x − [centred] b_dec) W_encᵀ, [B, d_sae]; without b_enc. */
export function encodeRows(plan: Plan, weights: OracleWeights, x: Float64Array): Float64Array {
  const { dIn, dSae } = plan.shape
  const rows = latentRows(plan)
  const n = x.length / dIn
  const z = new Float64Array(n * dSae)
  const input = new Float64Array(dIn)
  for (let r = 0; r < n; r++) {
    for (let j = 0; j < dIn; j++) input[j] = x[r * dIn + j] - (plan.centred ? weights.bDec[j] : 0)
    for (let i = 0; i < dSae; i++) {
      const { enc, input: span } = rows[i]
      const at = enc - span[0]
      let sum = 0
      for (let j = span[0]; j < span[1]; j++) sum += input[j] * weights.wEnc[at + j]
      z[r * dSae + i] = sum
    }
  }
  return z
}

/** The reconstructions by the latents [0, width) of each level, [B, d_out] each; `levels` ascend. */
export function decodeLevels(options: {
  plan: Plan
  weights: OracleWeights
  levels: readonly Level[]
  activations: Float64Array
  x: Float64Array
}): Float64Array[] {
  const { plan, weights, levels, activations, x } = options
  const { dIn, dOut } = plan.shape
  const n = x.length / dIn
  const running = new Float64Array(n * dOut)
  for (let r = 0; r < n; r++) {
    running.set(weights.bDec, r * dOut)
    if (weights.wSkip === undefined) continue
    for (let j = 0; j < dOut; j++) {
      let sum = 0
      for (let l = 0; l < dIn; l++) sum += weights.wSkip[j * dIn + l] * x[r * dIn + l]
      running[r * dOut + j] += sum
    }
  }
  let from = 0
  return levels.map(({ width }) => {
    addLatents({ plan, wDec: weights.wDec, activations, latents: [from, width], onto: running })
    from = width
    return running.slice()
  })
}

/** onto += activations W_dec of the latents of a span, [B, d_out]. */
export function addLatents(options: {
  plan: Plan
  wDec: Float64Array
  activations: Float64Array
  latents: Span
  onto: Float64Array
}): void {
  const { plan, wDec, activations, latents, onto } = options
  const { dSae, dOut } = plan.shape
  const rows = latentRows(plan)
  for (let r = 0; r < onto.length / dOut; r++) {
    for (let i = latents[0]; i < latents[1]; i++) {
      const value = activations[r * dSae + i]
      if (value === 0) continue
      const { dec, output } = rows[i]
      const at = dec - output[0]
      for (let j = output[0]; j < output[1]; j++) onto[r * dOut + j] += value * wDec[at + j]
    }
  }
}

/** Adds n_i = Σ over norm segments of ‖d_i‖ there, [d_sae]. */
export function decoderNorms(plan: Plan, wDec: Float64Array): Float64Array {
  return Float64Array.from(latentRows(plan), row =>
    segmentsOf(plan, row).reduce((sum, segment) => sum + segmentNorm(wDec, row, segment), 0),
  )
}

/** gradient += Σ_i derivatives_i · ∂n_i/∂d_i; a segment of norm 0 has derivative 0, as in PyTorch. */
export function addNormGradients(options: {
  plan: Plan
  wDec: Float64Array
  derivatives: Float64Array
  gradient: Float64Array
}): void {
  const { plan, wDec, derivatives, gradient } = options
  latentRows(plan).forEach((row, i) => {
    for (const segment of segmentsOf(plan, row)) {
      const norm = segmentNorm(wDec, row, segment)
      if (norm === 0) continue
      const at = row.dec - row.output[0]
      for (let j = segment[0]; j < segment[1]; j++) gradient[at + j] += (derivatives[i] * wDec[at + j]) / norm
    }
  })
}

/** The norm segments inside the columns that a latent writes. */
function segmentsOf({ normSegments }: Plan, { output }: LatentRow): Span[] {
  return normSegments
    .map(([from, to]): Span => [Math.max(from, output[0]), Math.min(to, output[1])])
    .filter(([from, to]) => from < to)
}

function segmentNorm(wDec: Float64Array, { dec, output }: LatentRow, [from, to]: Span): number {
  let squares = 0
  for (let j = from; j < to; j++) squares += wDec[dec - output[0] + j] ** 2
  return Math.sqrt(squares)
}

// Initialisation fitted to the first batch, in the space the SAE trains in. The order matters: b_dec,
// then the decoder's subspace and norm, which the tied encoder follows, then b_enc, which depends on all of them.

import { type GroupRows, groupRows, type SaeWeights } from '@mistudio/sae'
import { gaussianStream, randomStream } from '@mistudio/tensor'
import type { MemberConfig } from '../family.ts'
import type { Plan } from '../plan.ts'
import { activeSubspace, drawInside } from './active_subspace.ts'
import { columnMeans, geometricMedian } from './geometric_median.ts'
import { decoderNorm, decoderRows, tiedEncoder } from './initial_weights.ts'

/** Most multiplications spent on pre-activations of the first batch; wide SAEs use fewer rows. */
const multiplications = 2e9
const leastRows = 32
const mostRows = 1024
/** Norms that a search may choose. */
const leastNorm = 0.05
const greatestNorm = 10

/**
 * Weights fitted to the first batch: `x` [rows, d_in] and `y` [rows, d_out] as the learner loaded them. A pure function of
 * its arguments; `weights` stay as they are.
 */
export function fitInitialWeights(options: {
  plan: Plan
  settings: MemberConfig
  weights: SaeWeights
  x: Float32Array
  y: Float32Array
  rows: number
  seed: number
}): SaeWeights {
  const { plan, settings, x, y, rows, seed } = options
  const { dIn, dSae, dOut } = plan.shape
  let weights: SaeWeights = {
    ...options.weights,
    ...(settings.decoderInit === 'active_subspace' && insideSubspace({ plan, settings, y, rows, seed })),
    bDec: decoderBias({ init: settings.bDecInit, y: y.subarray(0, rows * dOut), width: dOut }),
  }
  if (settings.initNormSearch) {
    const few = sample({ plan, rows, most: 256 })
    weights = searchedNorm({ plan, settings, weights, x, y, few })
  }
  switch (settings.bEncInit) {
    case 'zero':
      return weights
    case 'centre': {
      const centre = Float32Array.from(columnMeans({ rows: x.subarray(0, rows * dIn), width: dIn }))
      const { preActivations } = encodeRows({ plan, weights, x: centre, rows: [0] })
      return { ...weights, bEnc: Float32Array.from(preActivations, value => -value) }
    }
    case 'firing_rate': {
      const few = sample({ plan, rows, most: mostRows })
      const { preActivations } = encodeRows({ plan, weights, x, rows: few })
      return { ...weights, bEnc: firingBiases({ weights, preActivations, dSae, rows: few.length }) }
    }
  }
}

/** W_dec drawn inside the active subspace of the targets, and W_enc tied to it if so configured. */
function insideSubspace(options: {
  plan: Plan
  settings: MemberConfig
  y: Float32Array
  rows: number
  seed: number
}): Partial<SaeWeights> {
  const { plan, settings, y, rows, seed } = options
  const { dOut } = plan.shape
  const directions = activeSubspace({ rows: y.subarray(0, rows * dOut), width: dOut })
  if (directions.length === 0) return {}
  const draw = drawInside({
    directions,
    width: dOut,
    gaussian: gaussianStream({ seed, purpose: 'active subspace weights' }),
    uniform: randomStream({ seed, purpose: 'active subspace directions' }),
  })
  const wDec = decoderRows({ plan, norm: decoderNorm(plan, settings), draw })
  return settings.encoderInit === 'random' ? { wDec } : { wDec, wEnc: tiedEncoder({ plan, settings, wDec }) }
}

function decoderBias(options: {
  init: MemberConfig['bDecInit']
  y: Float32Array
  width: number
}): Float32Array {
  const { init, y, width } = options
  switch (init) {
    case 'zero':
      return new Float32Array(width)
    case 'mean':
      return Float32Array.from(columnMeans({ rows: y, width }))
    case 'geometric_median':
      return Float32Array.from(geometricMedian({ rows: y, width }))
  }
}

/** Evenly spaced rows, as many as the limit on work allows. */
function sample(options: { plan: Plan; rows: number; most: number }): number[] {
  const { plan, rows, most } = options
  const { dIn, dSae } = plan.shape
  const count = Math.min(rows, most, Math.max(leastRows, Math.floor(multiplications / (dIn * dSae))))
  return Array.from({ length: count }, (_, i) => Math.floor((i * rows) / count))
}

/** π without b_enc, [rows, d_sae]. */
function encodeRows(options: { plan: Plan; weights: SaeWeights; x: Float32Array; rows: readonly number[] }) {
  const { plan, weights, x, rows } = options
  const { dIn, dSae } = plan.shape
  const preActivations = new Float32Array(rows.length * dSae)
  const input = new Float32Array(dIn)
  for (const [r, row] of rows.entries()) {
    for (let j = 0; j < dIn; j++) input[j] = x[row * dIn + j] - (plan.centred ? weights.bDec[j] : 0)
    for (const group of groupRows(plan.groups)) {
      encodeGroup({ group, weights, input, out: preActivations, at: r * dSae })
    }
  }
  return { preActivations }
}

function encodeGroup(options: {
  group: GroupRows
  weights: SaeWeights
  input: Float32Array
  out: Float32Array
  at: number
}): void {
  const { group, weights, input, out, at } = options
  const { latents, count, reads, encoderAt } = group
  const from = group.input[0]
  const { wEnc } = weights
  for (let i = 0; i < count; i++) {
    const row = encoderAt + i * reads
    let sum = 0
    for (let j = 0; j < reads; j++) sum += wEnc[row + j] * input[from + j]
    out[at + latents[0] + i] = sum
  }
}

/**
 * b_enc for which each latent exceeds its threshold (0 without one) on 10,000 / d_sae of the rows, at most half of them
 * (Anthropic, January 2025).
 */
function firingBiases(options: {
  weights: SaeWeights
  preActivations: Float32Array
  dSae: number
  rows: number
}): Float32Array {
  const { weights, preActivations, dSae, rows } = options
  const firing = Math.max(1, Math.round(rows * Math.min(0.5, 10_000 / dSae)))
  const bEnc = new Float32Array(dSae)
  const column = new Float32Array(rows)
  for (let i = 0; i < dSae; i++) {
    for (let r = 0; r < rows; r++) column[r] = preActivations[r * dSae + i]
    column.sort()
    // Between the last row that should fire and the first that should not.
    const last = column[rows - firing]
    const next = firing < rows ? column[rows - firing - 1] : last - 1
    bEnc[i] = (weights.threshold?.[i] ?? 0) - (last + next) / 2
  }
  return bEnc
}

/**
 * The norm with the least reconstruction error of the first batch, for a decoder with free norms; Llamascopium tries a grid
 * of them. While b_enc is 0 the selection does not depend on it (apart from θ, still small) and the reconstruction grows
 * as its square with a tied encoder, so the best norm has a closed form: the least squares of y − b_dec by the
 * reconstruction u at norm 1. A unit decoder keeps its norm; its tied encoder is scaled.
 */
function searchedNorm(options: {
  plan: Plan
  settings: MemberConfig
  weights: SaeWeights
  x: Float32Array
  y: Float32Array
  few: readonly number[]
}): SaeWeights {
  const { plan, settings, weights, x, y, few } = options
  const { dSae, dOut } = plan.shape
  const { preActivations } = encodeRows({ plan, weights, x, rows: few })
  let product = 0
  let square = 0
  for (const [r, row] of few.entries()) {
    const u = new Float64Array(dOut)
    const active = selected({ plan, preActivations: preActivations.subarray(r * dSae, (r + 1) * dSae) })
    for (const group of groupRows(plan.groups)) addDecoded({ group, weights, active, u })
    for (let j = 0; j < dOut; j++) {
      product += u[j] * (y[row * dOut + j] - weights.bDec[j])
      square += u[j] * u[j]
    }
  }
  // Nothing fires, or only in the wrong direction: there is no best norm.
  if (!(product > 0) || square === 0) return weights
  const tied = settings.encoderInit !== 'random'
  const factor = tied && plan.decoder === 'free' ? Math.sqrt(product / square) : product / square
  const norm = decoderNorm(plan, settings)
  const scale = Math.min(greatestNorm, Math.max(leastNorm, factor * norm)) / norm
  const scaled = (values: Float32Array) => values.map(value => value * scale)
  const wEnc = tied ? scaled(weights.wEnc) : weights.wEnc
  return plan.decoder === 'unit' ? { ...weights, wEnc } : { ...weights, wEnc, wDec: scaled(weights.wDec) }
}

/** The latents of a row that fire, with their activations: the k largest, or all above 0. */
function selected(options: { plan: Plan; preActivations: Float32Array }): Map<number, number> {
  const { plan, preActivations } = options
  const { selection } = plan
  const positive: [number, number][] = []
  for (const [i, value] of preActivations.entries()) if (value > 0) positive.push([i, value])
  if (selection.kind !== 'topk' && selection.kind !== 'batchtopk') return new Map(positive)
  return new Map(positive.sort((a, b) => b[1] - a[1]).slice(0, selection.k))
}

function addDecoded(options: {
  group: GroupRows
  weights: SaeWeights
  active: ReadonlyMap<number, number>
  u: Float64Array
}): void {
  const { group, weights, active, u } = options
  const { latents, output, writes, decoderAt } = group
  for (const [latent, value] of active) {
    if (latent < latents[0] || latent >= latents[1]) continue
    const row = decoderAt + (latent - latents[0]) * writes
    for (let j = 0; j < writes; j++) u[output[0] + j] += value * weights.wDec[row + j]
  }
}

// Normalisation of a hook point's rows before an SAE sees them, fitted once on the tokens of the first buffer and
// stored in every checkpoint: one scalar (expected_average: E‖x‖ = √d, SAELens's expected_average_only_in;
// unit_mean_square: E‖x‖² = 1, dictionary_learning's), nothing to
// fit (token_rms, layer_norm), or whitening by the covariance (arXiv 2511.13981), which finalise.ts folds into the weights.

import type { ActivationPlace, BufferMoments } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import { type Normaliser, normaliseRow, totalVariance } from '@mistudio/sae'
import { gemmGraph, type Place, type WorkerPool } from '@mistudio/tensor'
import type { MemberConfig } from '../family.ts'
import type { LearnerState } from '../learner.ts'
import { symmetricEigen } from './symmetric_eigen.ts'

export type NormalisationKind = MemberConfig['normalisation']

/**
 * Whitening divides by √(λ + ε), ε this share of the mean eigenvalue: directions with less variance than that are sampling
 * noise and are not amplified.
 */
export const whiteningEpsilon = 1e-5

/** Most tokens of the first buffer used for the covariance. */
const covarianceTokens = 65_536
/** Rows of one product; fixed, so sums do not depend on the worker pool. */
const chunkRows = 1024

/** Usable tokens of a buffer at one hook point. */
export type HookSample = {
  hook: string
  width: number
  /** Over the buffer's usable tokens. */
  moments: BufferMoments
  /** float32 rows of `width`. */
  activations: ActivationPlace
  /** int32 indices of the usable rows; `count` of them. */
  rows: Place
  count: number
}

/**
 * Rejects activations that nothing can be learned from.
 * @throws InputError naming the hook point if they contain NaN or infinity, or are the same at every token
 */
export function checkActivations(sample: Pick<HookSample, 'hook' | 'moments'>, window: number): void {
  const { hook, moments } = sample
  if (!Number.isFinite(moments.sumSquares)) {
    throw new InputError({
      message: 'the activations contain NaN or infinity',
      field: hook,
      found: `Σ‖x‖² = ${moments.sumSquares} over the ${moments.tokens} tokens of buffer ${window}`,
      expected: 'finite numbers; check the weights of the model and its number type',
    })
  }
  const variance = totalVariance(moments)
  if (moments.tokens > 1 && variance > 1e-12 * moments.sumSquares) return
  throw new InputError({
    message: 'the activations have no variance',
    field: hook,
    found: `Σ‖x − x̄‖² = ${variance} over the ${moments.tokens} tokens of buffer ${window}`,
    expected:
      'activations that differ from token to token; choose another hook point or text with more than one token',
  })
}

/** @throws Error when the covariance has no eigenvalues (not for finite activations) */
export async function fitNormaliser(options: {
  pool: WorkerPool
  kind: NormalisationKind
  sample: HookSample
}): Promise<Normaliser> {
  const { pool, kind, sample } = options
  const { width, moments } = sample
  switch (kind) {
    case 'none':
    case 'token_rms':
    case 'layer_norm':
      return { kind }
    case 'expected_average':
      return { kind: 'scale', scale: (Math.sqrt(width) * moments.tokens) / moments.sumNorms }
    case 'unit_mean_square':
      return { kind: 'scale', scale: Math.sqrt(moments.tokens / moments.sumSquares) }
    case 'whiten': {
      const { mean, covariance } = await covarianceOf({ pool, sample })
      return { kind: 'whiten', mean: Float32Array.from(mean), ...whitening(covariance, width) }
    }
  }
}

/** ZCA: C^(−1/2) and C^(1/2) of C + εI, symmetric. [d, d] */
export function whitening(
  covariance: Float64Array,
  d: number,
): { matrix: Float32Array; inverse: Float32Array } {
  let trace = 0
  for (let i = 0; i < d; i++) trace += covariance[i * d + i]
  const epsilon = (whiteningEpsilon * trace) / d
  const { values, vectors } = symmetricEigen(covariance, d)
  const power = (exponent: number) => {
    const out = new Float64Array(d * d)
    for (let k = 0; k < d; k++) {
      const factor = (Math.max(0, values[k]) + epsilon) ** exponent
      const row = vectors.subarray(k * d, (k + 1) * d)
      for (let i = 0; i < d; i++) {
        const weight = factor * row[i]
        const at = i * d
        for (let j = 0; j < d; j++) out[at + j] += weight * row[j]
      }
    }
    return Float32Array.from(out)
  }
  return { matrix: power(-0.5), inverse: power(0.5) }
}

/** The sample's covariance [d, d] (divided by the tokens), products on the worker pool, sums in float64. */
async function covarianceOf(options: {
  pool: WorkerPool
  sample: HookSample
}): Promise<{ mean: Float64Array; covariance: Float64Array }> {
  const { pool, sample } = options
  const { width: d, moments, rows, activations } = sample
  const mean = moments.sum.map(value => value / moments.tokens)
  const count = Math.min(sample.count, covarianceTokens)
  const memory = await pool.memory({ bytes: (2 * chunkRows * d + d * d) * 4 + 1024 })
  const gemm = await pool.session({ graph: gemmGraph() })
  try {
    const xAt = memory.alloc(chunkRows * d * 4)
    const columnsAt = memory.alloc(chunkRows * d * 4)
    const productAt = memory.alloc(d * d * 4)
    const x = memory.f32(xAt, chunkRows * d)
    const columns = memory.f32(columnsAt, chunkRows * d)
    const product = memory.f32(productAt, d * d)
    const covariance = new Float64Array(d * d)
    const view = { memory: memory.id, dtype: 'float32' as const }
    for (let start = 0; start < count; start += chunkRows) {
      const length = Math.min(chunkRows, count - start)
      const chosen = { memory: rows.memory, offset: rows.offset + start * 4 }
      const to = { memory: memory.id, offset: xAt }
      await pool.run([[{ copy: { from: activations, to, rows: chosen, count: length, width: d } }]])
      columns.fill(0)
      for (let i = 0; i < length; i++) {
        for (let j = 0; j < d; j++) columns[j * chunkRows + i] = x[i * d + j] - mean[j]
      }
      const operand = { ...view, offset: columnsAt, shape: [d, chunkRows] }
      const y = { ...view, offset: productAt, shape: [d, d] }
      await pool.run([[{ session: gemm, inputs: { a: operand, b: operand }, outputs: { y } }]])
      for (let i = 0; i < d * d; i++) covariance[i] += product[i] / count
    }
    // The product's two halves may differ in the last bit.
    for (let i = 0; i < d; i++) {
      for (let j = 0; j < i; j++) {
        const value = (covariance[i * d + j] + covariance[j * d + i]) / 2
        covariance[i * d + j] = value
        covariance[j * d + i] = value
      }
    }
    return { mean, covariance }
  } finally {
    await pool.closeSession(gemm)
    await pool.release(memory)
  }
}

/** One row as the SAE in training sees it, in place: the oracle for the learners. float64. */
export function applyNormaliser(normaliser: Normaliser, row: Float64Array): void {
  const d = row.length
  switch (normaliser.kind) {
    case 'none':
    case 'token_rms':
    case 'layer_norm':
      normaliseRow(normaliser.kind, row)
      return
    case 'scale':
      for (let j = 0; j < d; j++) row[j] *= normaliser.scale
      return
    case 'whiten': {
      const { mean, matrix } = normaliser
      const centred = row.map((value, j) => value - mean[j])
      for (let i = 0; i < d; i++) {
        let sum = 0
        for (let j = 0; j < d; j++) sum += centred[j] * matrix[i * d + j]
        row[i] = sum
      }
    }
  }
}

/** A checkpoint's tensors of a normaliser, under `prefix`. Its kind is in the JSON. */
export function storeNormaliser(
  normaliser: Normaliser,
  prefix: string,
  into: LearnerState,
): StoredNormaliser {
  if (normaliser.kind !== 'whiten') return normaliser
  for (const name of ['mean', 'matrix', 'inverse'] as const) into.set(`${prefix}.${name}`, normaliser[name])
  return { kind: 'whiten' }
}

export type StoredNormaliser = Exclude<Normaliser, { kind: 'whiten' }> | { kind: 'whiten' }

/** Takes the tensors out of `from`. @throws InputError when one is missing */
export function readNormaliser(stored: StoredNormaliser, prefix: string, from: LearnerState): Normaliser {
  if (stored.kind !== 'whiten') return stored
  const take = (name: string) => {
    const key = `${prefix}.${name}`
    const data = from.get(key)
    from.delete(key)
    if (data instanceof Float32Array) return data
    const expected = 'the float32 tensors of a whitening'
    throw new InputError({ message: 'the checkpoint cannot be read', field: key, expected })
  }
  return { kind: 'whiten', mean: take('mean'), matrix: take('matrix'), inverse: take('inverse') }
}

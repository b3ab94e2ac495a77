// Exact inference of a finished SAE on plain arrays, float64 throughout: slow and short, the oracle of encoder.ts.
import { groupRows, hookSpans } from './group_rows.ts'
import { outputsAreInputs, type RowNormalisation, type Sae } from './sae.ts'

/**
 * @param options.x float32 or float64 [n, d_in]: the concatenated columns of all input hook points
 * @returns float64 [n, d_sae] and [n, d_out]
 */
export function inferSae(options: { sae: Sae; x: ArrayLike<number> }): {
  featureActs: Float64Array
  reconstruction: Float64Array
} {
  const { sae } = options
  const { dIn, dSae, dOut } = sae.shape
  const n = options.x.length / dIn
  const featureActs = new Float64Array(n * dSae)
  const reconstruction = new Float64Array(n * dOut)
  for (let r = 0; r < n; r++) {
    const x = Float64Array.from({ length: dIn }, (_, j) => options.x[r * dIn + j])
    const out = reconstruction.subarray(r * dOut, (r + 1) * dOut)
    const acts = featureActs.subarray(r * dSae, (r + 1) * dSae)
    const spans = hookSpans(sae.hooks.inputs)
    const scales = spans.map(([from, to]) => normaliseRow(sae.normalisation, x.subarray(from, to)))
    encodeRow(sae, x, acts)
    decodeRow(sae, x, acts, out)
    if (!outputsAreInputs(sae.hooks)) continue
    spans.forEach(([from, to], hook) => {
      const { shift, factor } = scales[hook]
      for (let j = from; j < to; j++) out[j] = out[j] * factor + shift
    })
  }
  return { featureActs, reconstruction }
}

/** Normalises a row in place. @returns factor and shift to undo it: row · factor + shift */
export function normaliseRow(kind: RowNormalisation, row: Float64Array): { shift: number; factor: number } {
  const d = row.length
  const squares = () => row.reduce((sum, value) => sum + value * value, 0)
  switch (kind) {
    case 'none':
      return { shift: 0, factor: 1 }
    case 'token_rms': {
      const norm = Math.sqrt(squares())
      if (norm === 0) return { shift: 0, factor: 0 }
      const factor = norm / Math.sqrt(d)
      for (let j = 0; j < d; j++) row[j] /= factor
      return { shift: 0, factor }
    }
    case 'layer_norm': {
      const shift = row.reduce((sum, value) => sum + value, 0) / d
      for (let j = 0; j < d; j++) row[j] -= shift
      // σ over d − 1; undone with σ, without the 1e-5 (SAELens).
      const factor = Math.sqrt(squares() / Math.max(d - 1, 1))
      for (let j = 0; j < d; j++) row[j] /= factor + 1e-5
      return { shift, factor }
    }
  }
}

function encodeRow(sae: Sae, x: Float64Array, acts: Float64Array): void {
  const { wEnc, bEnc, bDec, threshold, rMag, bMag } = sae.weights
  // x W_encᵀ, before any bias.
  const z = new Float64Array(acts.length)
  for (const { latents, input, count, reads, encoderAt } of groupRows(sae.groups)) {
    for (let i = 0; i < count; i++) {
      const row = encoderAt + i * reads
      let sum = 0
      for (let j = 0; j < reads; j++) {
        sum += wEnc[row + j] * (x[input[0] + j] - (sae.centred ? bDec[input[0] + j] : 0))
      }
      z[latents[0] + i] = sum
    }
  }
  const pre = z.map((value, i) => value + bEnc[i])
  switch (sae.activation.kind) {
    case 'relu':
      for (let i = 0; i < acts.length; i++) acts[i] = Math.max(pre[i], 0)
      return
    case 'topk': {
      const order = Array.from(pre.keys()).sort((a, b) => pre[b] - pre[a] || a - b)
      for (const i of order.slice(0, sae.activation.k)) acts[i] = Math.max(pre[i], 0)
      return
    }
    case 'jumprelu':
      for (let i = 0; i < acts.length; i++) acts[i] = pre[i] > threshold![i] ? Math.max(pre[i], 0) : 0
      return
    case 'gated':
      for (let i = 0; i < acts.length; i++) {
        acts[i] = pre[i] > 0 ? Math.max(z[i] * Math.exp(rMag![i]) + bMag![i], 0) : 0
      }
  }
}

function decodeRow(sae: Sae, x: Float64Array, acts: Float64Array, out: Float64Array): void {
  const { wDec, bDec, wSkip } = sae.weights
  out.set(bDec)
  for (const { latents, output, count, writes, decoderAt } of groupRows(sae.groups)) {
    for (let i = 0; i < count; i++) {
      const f = acts[latents[0] + i]
      if (f === 0) continue
      for (let j = 0; j < writes; j++) out[output[0] + j] += f * wDec[decoderAt + i * writes + j]
    }
  }
  if (wSkip === undefined) return
  for (let o = 0; o < out.length; o++) {
    for (let j = 0; j < x.length; j++) out[o] += wSkip[o * x.length + j] * x[j]
  }
}

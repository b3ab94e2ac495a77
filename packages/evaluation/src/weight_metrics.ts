// Metrics of an SAE's weights alone, per latent, as in SAEBench's core evaluation.

import type { Sae } from '@mistudio/sae'
import { gemmGraph, type WorkerPool } from '@mistudio/tensor'

export type WeightMetrics = {
  encoderNorm: Float64Array
  encoderBias: Float32Array
  /** cos(W_enc row, W_dec row), NaN if either is 0 or their widths differ. */
  encoderDecoderCosine: Float64Array
  /** Largest cosine with any other latent's row. */
  maxEncoderCosine: Float64Array
  maxDecoderCosine: Float64Array
}

/** Rows of one product. */
const chunk = 256

/** null for SAEs whose latents read or write different columns (cross-layer): their rows cannot be compared. */
export async function weightMetrics(options: {
  pool: WorkerPool
  sae: Omit<Sae, 'family'>
}): Promise<WeightMetrics | null> {
  const { pool, sae } = options
  if (sae.groups.length !== 1) return null
  const { dIn, dOut, dSae } = sae.shape
  const { wEnc, wDec, bEnc, bMag } = sae.weights
  const encoder = unitRows(wEnc, dSae, dIn)
  const decoder = unitRows(wDec, dSae, dOut)
  const cosines = new Float64Array(dSae).fill(Number.NaN)
  if (dIn === dOut) {
    for (let i = 0; i < dSae; i++) {
      let sum = 0
      for (let j = i * dIn; j < (i + 1) * dIn; j++) sum += encoder.rows[j] * decoder.rows[j]
      if (encoder.norms[i] > 0 && decoder.norms[i] > 0) cosines[i] = sum
    }
  }
  return {
    encoderNorm: encoder.norms,
    encoderBias: sae.activation.kind === 'gated' ? bMag! : bEnc,
    encoderDecoderCosine: cosines,
    maxEncoderCosine: await maxCosines({ pool, rows: encoder.rows, count: dSae, width: dIn }),
    maxDecoderCosine: await maxCosines({ pool, rows: decoder.rows, count: dSae, width: dOut }),
  }
}

function unitRows(matrix: Float32Array, count: number, width: number) {
  const norms = new Float64Array(count)
  const rows = new Float32Array(matrix.length)
  for (let i = 0; i < count; i++) {
    let sum = 0
    for (let j = i * width; j < (i + 1) * width; j++) sum += matrix[j] ** 2
    norms[i] = Math.sqrt(sum)
    if (norms[i] === 0) continue
    for (let j = i * width; j < (i + 1) * width; j++) rows[j] = matrix[j] / norms[i]
  }
  return { norms, rows }
}

async function maxCosines(options: {
  pool: WorkerPool
  rows: Float32Array
  count: number
  width: number
}): Promise<Float64Array> {
  const { pool, rows, count, width } = options
  const padded = Math.ceil(count / chunk) * chunk
  const bytes = padded * width * 4 + pool.count * chunk * count * 4 + 256
  const memory = await pool.memory({ bytes })
  const at = memory.alloc(padded * width * 4)
  memory.f32(at, rows.length).set(rows)
  const products = memory.alloc(pool.count * chunk * count * 4)
  const session = await pool.session({ graph: gemmGraph() })
  const result = new Float64Array(count).fill(-1)
  const view = (offset: number, n: number, m: number) => ({
    memory: memory.id,
    offset,
    dtype: 'float32' as const,
    shape: [n, m],
  })
  for (let first = 0; first < count; first += chunk * pool.count) {
    const starts = Array.from({ length: pool.count }, (_, worker) => first + worker * chunk).filter(
      start => start < count,
    )
    const outOf = (worker: number) => products + worker * chunk * count * 4
    await pool.run(
      starts.map((start, worker) => [
        {
          session,
          inputs: { a: view(at + start * width * 4, chunk, width), b: view(at, count, width) },
          outputs: { y: view(outOf(worker), chunk, count) },
        },
      ]),
    )
    starts.forEach((start, worker) => {
      const found = memory.f32(outOf(worker), chunk * count)
      for (let i = start; i < Math.min(count, start + chunk); i++) {
        for (let j = 0; j < count; j++) {
          if (j !== i) result[i] = Math.max(result[i], found[(i - start) * count + j])
        }
      }
    })
  }
  await pool.closeSession(session)
  await pool.release(memory)
  return result
}

// Scores a finished SAE on held-out draws of the ground truth it was trained on: which latents are alive, how much
// variance is unexplained, and how many of the true directions it found.

import { createEncoder, type Sae, totalVariance } from '@mistudio/sae'
import type { Place, WorkerPool } from '@mistudio/tensor'
import { createSyntheticData, syntheticContextSize, syntheticHook } from './data.ts'
import type { GroundTruth } from './ground_truth.ts'
import { type Recovery, scoreRecovery } from './score.ts'

export type SyntheticScore = Recovery & {
  fvu: number | null
  l0: number
  /** Share of the latents that fired at any held-out token. */
  alive: number
}

/** Contexts of one call. */
const callContexts = 32

export async function judgeSynthetic(options: {
  pool: WorkerPool
  truth: GroundTruth
  seed: number
  sae: Sae
  tokens: number
}): Promise<SyntheticScore> {
  const { pool, truth, seed, sae, tokens } = options
  const { dIn, dSae } = sae.shape
  const rows = callContexts * syntheticContextSize
  const data = await createSyntheticData({ pool, truth, seed, stream: 'held out', windowTokens: rows })
  const encoder = await createEncoder({ pool, sae })
  const hits = await encoder.room({ rows })
  const memory = await pool.memory({ bytes: rows * (2 * dIn + 1) * 4 + 256 })
  const place = (elements: number): Place => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
  const at = { ids: place(rows), x: place(rows * dIn), out: place(rows * dIn) }
  const ids = memory.i32(at.ids.offset, rows)
  const x = memory.f32(at.x.offset, rows * dIn)
  const out = memory.f32(at.out.offset, rows * dIn)
  const mask = new Uint8Array(rows)
  const fired = new Uint8Array(dSae)
  const sums = { tokens: 0, sum: new Float64Array(dIn), sumSquares: 0 }
  let squaredError = 0
  let firing = 0
  for (let first = 0; sums.tokens < tokens; first += callContexts) {
    data.source.read({ first, count: callContexts, ids, mask })
    await pool.run(
      data.forward.tasks({ contexts: callContexts, places: { input_ids: at.ids, [syntheticHook]: at.x } }),
    )
    const lists = await encoder.encode({ rows, inputs: [at.x], reconstruction: [at.out], hits })
    for (const { index, starts, rows: listed } of lists) {
      firing += starts[listed] - starts[0]
      for (let i = starts[0]; i < starts[listed]; i++) fired[index[i]] = 1
    }
    for (let i = 0; i < rows * dIn; i++) {
      sums.sum[i % dIn] += x[i]
      sums.sumSquares += x[i] * x[i]
      squaredError += (x[i] - out[i]) ** 2
    }
    sums.tokens += rows
  }
  await hits.close()
  await encoder.close()
  await data.close()
  await pool.release(memory)
  const variance = totalVariance(sums)
  return {
    ...scoreRecovery({ directions: truth.rows, latents: sae.weights.wDec, alive: fired, dIn }),
    fvu: variance > 0 ? squaredError / variance : null,
    l0: firing / sums.tokens,
    alive: fired.reduce((sum, one) => sum + one, 0) / dSae,
  }
}

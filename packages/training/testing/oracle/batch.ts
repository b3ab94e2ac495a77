// Reading a batch into float64: rows are gathered out of the shared memories by a copy task, then normalised.

import type { Normaliser } from '@mistudio/sae'
import type { SharedMemory, WorkerPool } from '@mistudio/tensor'
import type { BatchSource, Columns } from '../../src/learner.ts'

/**
 * The batch's rows of several hook points beside each other, normalised, [B, Σ widths]; x and y are one array where the
 * batch has no targets.
 */
export async function readBatch(options: {
  pool: WorkerPool
  /** A memory of the reader's own, with room for all columns of the batch. */
  memory: SharedMemory
  at: number
  batch: BatchSource
  batchSize: number
}): Promise<{ x: Float64Array; y: Float64Array }> {
  const { pool, memory, at, batch, batchSize } = options
  const x = await joined(batch.inputs)
  return { x, y: batch.targets === undefined ? x : await joined(batch.targets) }

  async function joined(columns: readonly Columns[]): Promise<Float64Array> {
    const width = columns.reduce((total, one) => total + one.width, 0)
    const all = new Float64Array(batchSize * width)
    let offset = 0
    for (const column of columns) {
      const to = { memory: memory.id, offset: at }
      const copy = {
        from: column.activations,
        to,
        rows: batch.rows,
        count: batchSize,
        width: column.width,
      }
      await pool.run([[{ copy }]])
      const rows = memory.f32(at, batchSize * column.width)
      for (let r = 0; r < batchSize; r++) {
        const row = Float64Array.from(rows.subarray(r * column.width, (r + 1) * column.width))
        all.set(normalise(row, column.normaliser), r * width + offset)
      }
      offset += column.width
    }
    return all
  }
}

/** One row as the SAE sees it; a row of zeros stays one under `token_rms`. */
export function normalise(row: Float64Array, normaliser: Normaliser): Float64Array {
  const d = row.length
  switch (normaliser.kind) {
    case 'none':
      return row
    case 'scale':
      return row.map(value => value * normaliser.scale)
    case 'token_rms': {
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
      return norm === 0 ? row : row.map(value => (value * Math.sqrt(d)) / norm)
    }
    case 'layer_norm': {
      const mean = row.reduce((sum, value) => sum + value / d, 0)
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2 / Math.max(d - 1, 1), 0)
      return row.map(value => (value - mean) / (Math.sqrt(variance) + 1e-5))
    }
    case 'whiten': {
      const { mean, matrix } = normaliser
      return row.map((_, i) => {
        let sum = 0
        for (let j = 0; j < d; j++) sum += matrix[i * d + j] * (row[j] - mean[j])
        return sum
      })
    }
  }
}

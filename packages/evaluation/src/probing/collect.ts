// Activations of chosen tokens, in the model and in several SAEs at once, for probes: each unit is some positions of one
// context, and its activation is the mean over them.

import { type Forward, widthOf } from '@mistudio/capture'
import type { Encoder, HitList } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { createCaptures } from '../captures.ts'

/** Positions of one context, ascending. */
export type Unit = { positions: readonly number[] }

export type Collected = {
  /** Mean activation at the SAE's input hook points, concatenated [d_in]. */
  x: Float64Array
  /** Latents that fire somewhere in the unit, ascending, and their mean activation over all its positions. */
  index: Int32Array
  value: Float64Array
}

/** @returns for each encoder, the units of all contexts in order */
export async function collectUnits(options: {
  pool: WorkerPool
  prefix: Forward
  contextsPerCall: number
  contextSize: number
  encoders: readonly Encoder[]
  contexts: number
  /** Token ids of `count` contexts from `first` on. */
  read: (first: number, count: number, ids: Int32Array) => void
  unitsOf: (context: number) => readonly Unit[]
  stopped?: () => boolean
}): Promise<Collected[][]> {
  const { pool, prefix, contextSize, encoders, contexts, read, unitsOf, stopped } = options
  const batch = options.contextsPerCall * 8
  const rows = batch * contextSize
  const captures = await createCaptures({ pool, rows, prefix })
  const rooms = await Promise.all(encoders.map(encoder => encoder.room({ rows })))
  const result: Collected[][] = encoders.map(() => [])
  try {
    for (let first = 0; first < contexts && !stopped?.(); first += batch) {
      const count = Math.min(batch, contexts - first)
      read(first, count, captures.ids)
      await pool.run(prefix.tasks({ contexts: count, places: captures.places }))
      for (const [e, encoder] of encoders.entries()) {
        const { inputs } = encoder.sae.hooks
        const hits = await encoder.encode({
          rows: count * contextSize,
          inputs: inputs.map(({ hook }) => captures.places[hook]),
          hits: rooms[e],
        })
        const views = inputs.map(({ hook }) => ({
          values: captures.view(hook),
          width: widthOf(prefix, hook),
        }))
        for (let c = 0; c < count; c++) {
          for (const { positions } of unitsOf(first + c)) {
            const at = positions.map(position => c * contextSize + position)
            result[e].push({ x: meanOf(views, at), ...latentsOf(hits, at) })
          }
        }
      }
    }
  } finally {
    for (const room of rooms) await room.close()
    await captures.close()
  }
  return result
}

function meanOf(
  views: readonly { values: Float32Array; width: number }[],
  rows: readonly number[],
): Float64Array {
  const parts = views.map(({ values, width }) => {
    const mean = new Float64Array(width)
    for (const r of rows) for (let j = 0; j < width; j++) mean[j] += values[r * width + j] / rows.length
    return mean
  })
  return parts.length === 1 ? parts[0] : Float64Array.from(parts.flatMap(part => [...part]))
}

function latentsOf(hits: readonly HitList[], rows: readonly number[]): Omit<Collected, 'x'> {
  const sums = new Map<number, number>()
  for (const row of rows) {
    const { firstRow, starts, index, value } = hits.find(
      list => row >= list.firstRow && row < list.firstRow + list.rows,
    )!
    for (let i = starts[row - firstRow]; i < starts[row - firstRow + 1]; i++) {
      if (value[i] > 0) sums.set(index[i], (sums.get(index[i]) ?? 0) + value[i] / rows.length)
    }
  }
  const index = Int32Array.from([...sums.keys()].sort((a, b) => a - b))
  return { index, value: Float64Array.from(index, latent => sums.get(latent)!) }
}

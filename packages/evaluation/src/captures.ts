// Memory of the prefix's inputs and outputs for one batch of contexts.

import { type Forward, widthOf } from '@mistudio/capture'
import type { Place, WorkerPool } from '@mistudio/tensor'

/** `rows`: a whole number of calls of everything that reads or writes them. */
export async function createCaptures(options: { pool: WorkerPool; rows: number; prefix: Forward }) {
  const { pool, rows, prefix } = options
  const { outputs } = prefix
  const wide = outputs.reduce((sum, { width }) => sum + width, 0)
  const memory = await pool.memory({ bytes: rows * 4 * (wide + 1) + 64 * (outputs.length + 2) })
  const place = (elements: number): Place => ({ memory: memory.id, offset: memory.alloc(elements * 4) })
  const places: Record<string, Place> = { input_ids: place(rows) }
  for (const { name, width } of outputs) places[name] = place(rows * width)
  return {
    places,
    rows,
    ids: memory.i32(places.input_ids.offset, rows),
    /** float32 [rows, width] of a hook point. */
    view: (name: string) => memory.f32(places[name].offset, rows * widthOf(prefix, name)),
    close: () => pool.release(memory),
  }
}

/** Memory for float32 matrices of `rows` rows by name, zeros at first. */
export async function createMatrices(options: {
  pool: WorkerPool
  rows: number
  widths: Readonly<Record<string, number>>
}) {
  const { pool, rows, widths } = options
  const names = Object.keys(widths)
  const wide = names.reduce((sum, name) => sum + widths[name], 0)
  const memory = await pool.memory({ bytes: rows * 4 * wide + 64 * (names.length + 1) })
  const places: Record<string, Place> = {}
  for (const name of names) {
    places[name] = { memory: memory.id, offset: memory.alloc(rows * widths[name] * 4) }
  }
  return {
    places,
    view: (name: string) => memory.f32(places[name].offset, rows * widths[name]),
    close: () => pool.release(memory),
  }
}

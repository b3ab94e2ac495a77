// A forward pass for tests, in place of a language model: a hook point's value at a token is the token's row of a
// table in shared memory.
import { gaussianStream, randomStream, type SharedMemory, type WorkerPool } from '@mistudio/tensor'
import type { ContextSource, Forward } from '../src/sources.ts'

export type Table = {
  forward: Forward
  /** float32 [vocabulary + 1, d_in]; the last row is no token's. */
  rows: Float32Array
  memory: SharedMemory
}

/** Every hook point gives the same rows, normal draws; `apart`: each has its own (`rows` are the first one's). */
export async function createTable(options: {
  pool: WorkerPool
  vocabulary: number
  dIn: number
  hooks: readonly string[]
  contextSize: number
  apart?: boolean
}): Promise<Table> {
  const { pool, vocabulary, dIn, hooks, contextSize, apart = false } = options
  const elements = (vocabulary + 1) * dIn
  const tables = apart ? hooks.length : 1
  const memory = await pool.memory({ bytes: tables * elements * 4 + 64 })
  const offset = memory.alloc(tables * elements * 4)
  const rows = memory.f32(offset, elements)
  const draw = gaussianStream({ seed: 1, purpose: 'table' })
  memory.f32(offset, tables * elements).set(Float32Array.from({ length: tables * elements }, draw))
  const offsetOf = (hook: string) => offset + (apart ? hooks.indexOf(hook) * elements * 4 : 0)
  const forward: Forward = {
    outputs: hooks.map(name => ({ name, width: dIn })),
    tasks: ({ contexts, places }) =>
      hooks
        .filter(hook => hook in places)
        .map(hook => [
          {
            copy: {
              from: { memory: memory.id, offset: offsetOf(hook) },
              to: places[hook],
              rows: places.input_ids,
              count: contexts * contextSize,
              width: dIn,
            },
          },
        ]),
  }
  return { forward, rows, memory }
}

/** Random tokens, a function of the position alone; the first of a context is masked. */
export function randomContexts(options: {
  vocabulary: number
  contextSize: number
  contexts: number
}): ContextSource {
  const { vocabulary, contextSize, contexts } = options
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let c = 0; c < count; c++) {
        const draw = randomStream({ seed: 1, purpose: `context ${(first + c) % contexts}` })
        for (let t = 0; t < contextSize; t++) {
          ids[c * contextSize + t] = Math.floor(draw() * vocabulary)
          mask[c * contextSize + t] = t === 0 ? 0 : 1
        }
      }
    },
  }
}

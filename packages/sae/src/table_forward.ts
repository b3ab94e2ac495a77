// A forward pass for tests, in place of a language model: a hook point's value at a token is the token's row of a
// table in shared memory.
import type { Lanes, SharedMemory } from '@mistudio/tensor'
import { gaussianStream, randomStream } from './random.ts'
import type { ContextSource, Forward } from './sources.ts'

export type Table = {
  forward: Forward
  /** float32 [vocabulary + 1, d_in]; the last row is no token's. */
  rows: Float32Array
  memory: SharedMemory
}

/** Every hook point gives the same rows, normal draws. */
export async function createTable(options: {
  lanes: Lanes
  vocabulary: number
  dIn: number
  hooks: readonly string[]
  contextSize: number
}): Promise<Table> {
  const { lanes, vocabulary, dIn, hooks, contextSize } = options
  const elements = (vocabulary + 1) * dIn
  const memory = await lanes.memory({ bytes: elements * 4 + 64 })
  const offset = memory.alloc(elements * 4)
  const rows = memory.f32(offset, elements)
  rows.set(Float32Array.from({ length: elements }, gaussianStream({ seed: 1, purpose: 'table' })))
  const forward: Forward = {
    outputs: hooks.map(name => ({ name, width: dIn })),
    tasks: ({ contexts, places }) =>
      hooks
        .filter(hook => hook in places)
        .map(hook => [
          {
            copy: {
              from: { memory: memory.id, offset },
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

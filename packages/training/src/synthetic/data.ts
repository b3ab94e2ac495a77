// Ground-truth activations as a source for training: one whose token ids are slots of a ring in shared memory, and
// a "forward pass" that copies slots. No language model; memory is the ring's, however many tokens are drawn.

import type { ContextSource, Forward } from '@mistudio/capture'
import type { WorkerPool } from '@mistudio/tensor'
import { createGenerator, type Stream } from './generate.ts'
import type { GroundTruth } from './ground_truth.ts'

/** The only hook point. */
export const syntheticHook = 'synthetic'

/** Tokens drawn from one seeded stream; any would do. */
export const syntheticContextSize = 128
const contextSize = syntheticContextSize
/** More contexts than any run reads, so nothing is seen twice. */
const contexts = 2 ** 31

export interface SyntheticData {
  readonly forward: Forward
  readonly source: ContextSource
  close(): Promise<void>
}

/**
 * @param options.windowTokens the most tokens read before they are captured; the ring holds twice that
 */
export async function createSyntheticData(options: {
  pool: WorkerPool
  truth: GroundTruth
  seed: number
  stream: Stream
  windowTokens: number
}): Promise<SyntheticData> {
  const { pool, truth, seed, stream, windowTokens } = options
  const { dIn } = truth
  const slots = 2 * Math.ceil(windowTokens / contextSize)
  const elements = contextSize * dIn
  const memory = await pool.memory({ bytes: slots * elements * 4 + 64 })
  const offset = memory.alloc(slots * elements * 4)
  const ring = memory.f32(offset, slots * elements)
  const generate = createGenerator({ truth, seed, stream })
  let next = 0
  return {
    source: {
      contextSize,
      contexts,
      read({ first, count, ids, mask }) {
        if (count > slots) throw new Error(`${count} contexts are read at once, the ring holds ${slots}`)
        for (let c = 0; c < count; c++) {
          const slot = next
          next = (next + 1) % slots
          generate({ position: first + c, out: ring.subarray(slot * elements, (slot + 1) * elements) })
          for (let t = 0; t < contextSize; t++) ids[c * contextSize + t] = slot * contextSize + t
        }
        mask.fill(1, 0, count * contextSize)
      },
    },
    forward: {
      outputs: [{ name: syntheticHook, width: dIn }],
      tasks: ({ contexts: count, places }) =>
        Array.from({ length: count }, (_, c) => {
          const from = c * contextSize
          const ids = places.input_ids
          const to = places[syntheticHook]
          return [
            {
              copy: {
                from: { memory: memory.id, offset },
                to: { memory: to.memory, offset: to.offset + from * dIn * 4 },
                rows: { memory: ids.memory, offset: ids.offset + from * 4 },
                count: contextSize,
                width: dIn,
              },
            },
          ]
        }),
    },
    close: () => pool.release(memory),
  }
}

// The batches of a synthetic run in the order in which our loop trains on them, then held-out rows, as one stream of
// float32 for a peer's stdin. Nothing is stored: 5 M tokens of width 128 would be 2.5 GB.
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { createActivationBuffer } from '@mistudio/capture'
import type { WorkerPool } from '@mistudio/tensor'
import { createSyntheticData, type GroundTruth, type Stream, syntheticHook } from '@mistudio/training'

/** As the loop's default: tokens captured at once, from which batches are drawn. */
const windowTokens = 65_536
const contextsPerCall = 64
const contextSize = 128

export async function streamSynthetic(options: {
  pool: WorkerPool
  truth: GroundTruth
  seed: number
  batchSize: number
  steps: number
  heldOutTokens: number
  sink: Writable
}): Promise<void> {
  const { batchSize, steps, heldOutTokens, ...rest } = options
  await streamBatches({ ...rest, stream: 'train', batchSize, batches: steps })
  await streamBatches({
    ...rest,
    stream: 'held out',
    batchSize: contextSize,
    batches: heldOutTokens / contextSize,
  })
}

async function streamBatches(options: {
  pool: WorkerPool
  truth: GroundTruth
  seed: number
  stream: Stream
  batchSize: number
  batches: number
  sink: Writable
}): Promise<void> {
  const { pool, truth, seed, stream, batchSize, batches, sink } = options
  const bytes = batchSize * truth.dIn * 4
  const data = await createSyntheticData({ pool, truth, seed, stream, windowTokens })
  const window = await createActivationBuffer({
    pool,
    forward: data.forward,
    contextsPerCall,
    hooks: [syntheticHook],
    source: data.source,
    contexts: windowTokens / contextSize,
    seed,
  })
  const memory = await pool.memory({ bytes: bytes + 64 })
  const at = memory.alloc(bytes)
  let done = 0
  for (let index = 0; done < batches; index++) {
    const count = Math.floor((await window.fill(index)) / batchSize)
    for (let batch = 0; batch < count && done < batches; batch++, done++) {
      const copy = {
        from: window.activations(syntheticHook),
        to: { memory: memory.id, offset: at },
        rows: { ...window.rows, offset: window.rows.offset + batch * batchSize * 4 },
        count: batchSize,
        width: truth.dIn,
      }
      await pool.run([[{ copy }]])
      if (!sink.write(Uint8Array.from(memory.u8(at, bytes)))) await once(sink, 'drain')
    }
  }
  await window.close()
  await data.close()
  await pool.release(memory)
}

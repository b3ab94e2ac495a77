// One pass of the model for all SAEs: text in, sparse hits out, collectors fed. While the workers compute a batch,
// this thread collects the previous one; the model and encoders of one call are one task, so that workers never wait
// for each other and activations are still in cache when read.
import { setImmediate as turn } from 'node:timers/promises'
import type { Forward } from '@mistudio/capture'
import type { EncodeRequest, Encoder, HitList, HitRoom } from '@mistudio/sae'
import type { Place, SharedMemory, Task, WorkerPool } from '@mistudio/tensor'
import type { Collector } from '../collect/collector.ts'
import type { ProgressBoard } from './progress_board.ts'
import type { TextSource } from './text_source.ts'

/** An SAE in the pass. The encoder's calls have `encoderRows(contextsPerCall · contextSize)` rows. */
export type PassMember = { encoder: Encoder; collector: Collector }

export type PassResult = { contexts: number; batches: number; complete: boolean }

/** Approximate tokens of a batch: enough to group a feature's hits, few enough to stay in the cache. */
const batchTokens = 8192
const largestEncoderCall = 256

/** The largest divisor of a call's rows up to 256: whole encoder calls then fill whole calls of the model. */
export function encoderRows(rowsPerCall: number): number {
  for (let rows = Math.min(largestEncoderCall, rowsPerCall); rows > 1; rows--) {
    if (rowsPerCall % rows === 0) return rows
  }
  return 1
}

/** Contexts of a batch, whole calls. */
function batchContexts(options: { contextsPerCall: number; contextSize: number }): number {
  const { contextsPerCall, contextSize } = options
  return contextsPerCall * Math.max(1, Math.floor(batchTokens / (contextsPerCall * contextSize)))
}

/**
 * Reads all of `source`, or until `stopped`.
 * @param options.board written after each batch: samples are contexts, the heaps' counters are summed over the SAEs
 */
export async function runPass(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  source: TextSource
  members: readonly PassMember[]
  board?: ProgressBoard
  stopped?: () => boolean
}): Promise<PassResult> {
  const { pool, forward, contextsPerCall, source, members, board, stopped } = options
  const { contextSize, contexts } = source
  const size = batchContexts({ contextsPerCall, contextSize })
  const totalBatches = Math.ceil(contexts / size)
  board?.write({
    phase: 'extracting',
    current_batch: 0,
    total_batches: totalBatches,
    samples_processed: 0,
    total_samples: contexts,
  })
  const room = await createRoom({ pool, rows: size * contextSize, members })
  let read = 0
  let collected = 0
  let batches = 0

  async function collect({ first, count, slot }: Filled, hits: HitList[][]): Promise<void> {
    const { ids, mask } = room.slots[slot]
    for (const [i, { collector }] of members.entries()) {
      collector.add({
        contexts: count,
        firstContext: first,
        ids,
        mask,
        hits: hits[i],
        documentsOf: source.documentsOf,
      })
      // Lets this thread's timers run between SAEs.
      await turn()
    }
    collected += count
    batches++
    board?.write({ current_batch: batches, samples_processed: collected, ...heapStats(members) })
  }

  try {
    let waiting: { batch: Filled; hits: HitList[][] } | undefined
    while (read < contexts && !stopped?.()) {
      const slot = (read / size) % 2
      const filled: Filled = { first: read, count: Math.min(size, contexts - read), slot }
      const { ids, mask, inputIds } = room.slots[slot]
      source.read({ ...filled, ids, mask })
      const requests = room.requests(slot, filled.count * contextSize)
      const running = pool.run(
        tasksOf({
          forward,
          members,
          room,
          inputIds,
          requests,
          contextSize,
          contextsPerCall,
          contexts: filled.count,
        }),
      )
      try {
        if (waiting !== undefined) await collect(waiting.batch, waiting.hits)
      } finally {
        await running
      }
      // Re-encodes hits that did not fit while the activations are still in memory.
      const hits: HitList[][] = []
      for (const [i, { encoder }] of members.entries()) hits.push(await encoder.finish(requests[i]))
      waiting = { batch: filled, hits }
      read += filled.count
    }
    if (waiting !== undefined) await collect(waiting.batch, waiting.hits)
  } finally {
    await room.close()
  }
  return { contexts: collected, batches, complete: collected === contexts }
}

/** Both counters over all SAEs of the pass. */
export function heapStats(members: readonly { collector: Collector }[]) {
  const sum = { features_in_heap: 0, heap_examples_count: 0 }
  for (const { collector } of members) {
    const { features_in_heap, heap_examples_count } = collector.getStats()
    sum.features_in_heap += features_in_heap
    sum.heap_examples_count += heap_examples_count
  }
  return sum
}

type Filled = { first: number; count: number; slot: number }
type Room = Awaited<ReturnType<typeof createRoom>>
type Request = EncodeRequest & { hits: HitRoom }

/** Each call of the model with the encoder calls over its rows. */
function tasksOf(options: {
  forward: Forward
  members: readonly PassMember[]
  room: Room
  inputIds: Place
  requests: readonly Request[]
  contextSize: number
  contextsPerCall: number
  contexts: number
}): Task[] {
  const { forward, members, room, inputIds, requests, contextSize, contextsPerCall, contexts } = options
  const calls = forward.tasks({ contexts, places: { input_ids: inputIds, ...room.activations } })
  const rowsPerCall = contextsPerCall * contextSize
  const encoderCalls = rowsPerCall / encoderRows(rowsPerCall)
  const encodes = members.map(({ encoder }, i) => encoder.tasks(requests[i]))
  return calls.map((steps, call) => [
    ...steps,
    ...encodes.flatMap(tasks => tasks.slice(call * encoderCalls, (call + 1) * encoderCalls).flat()),
  ])
}

/** Activations of one batch, but ids, masks and hits of two, since one is collected while the next is computed. */
async function createRoom(options: { pool: WorkerPool; rows: number; members: readonly PassMember[] }) {
  const { pool, rows, members } = options
  const memories: SharedMemory[] = []
  const take = async (bytes: number) => {
    const memory = await pool.memory({ bytes: bytes + 256 })
    memories.push(memory)
    return { memory, place: { memory: memory.id, offset: memory.alloc(bytes) } }
  }
  const activations: Record<string, Place> = {}
  for (const { encoder } of members) {
    for (const { hook, width } of encoder.sae.hooks.inputs) {
      activations[hook] ??= (await take(4 * rows * width)).place
    }
  }
  const slots: { ids: Int32Array; mask: Uint8Array; inputIds: Place; hits: HitRoom[] }[] = []
  for (let slot = 0; slot < 2; slot++) {
    const input = await take(4 * rows)
    const hits: HitRoom[] = []
    for (const { encoder } of members) hits.push(await encoder.room({ rows }))
    slots.push({
      ids: input.memory.i32(input.place.offset, rows),
      mask: new Uint8Array(rows),
      inputIds: input.place,
      hits,
    })
  }
  return {
    activations,
    slots,
    /** The encoder call of each member for one batch. */
    requests: (slot: number, used: number): Request[] =>
      members.map(({ encoder }, i) => ({
        rows: used,
        inputs: encoder.sae.hooks.inputs.map(({ hook }) => activations[hook]),
        hits: slots[slot].hits[i],
      })),
    async close() {
      for (const { hits } of slots) for (const hitRoom of hits) await hitRoom.close()
      for (const memory of memories) await pool.release(memory)
    },
  }
}

// Generation on ONNX Runtime: one graph for the prompt and for every token after it. Keys and values are
// preallocated in shared memory, a row per position: the past is a view of the relevant rows, and a run writes the rows
// of its new tokens right after it, so the cache is never copied between runs. States of a fixed size alternate between
// two places, one to read and one to write.
import type { SharedMemory, View, WorkerPool } from '@mistudio/tensor'
import type { LanguageModel } from '../load.ts'
import { openGraph } from '../session.ts'
import { recordStep } from './onnx_step_graph.ts'
import type { CacheEntry } from './shapes.ts'
import type { Stepper } from './stepper.ts'

/** @param options.capacity the most tokens that will be run, including the prompt */
export async function openStepper(options: {
  model: LanguageModel
  pool: WorkerPool
  capacity: number
}): Promise<Stepper> {
  const { model, pool, capacity } = options
  const { vocabSize } = model.config
  const settings = { worker: 0, threads: pool.count }
  const session = await openGraph({ model, pool, bytes: recordStep(model), settings })
  const parts = model.shapes.cache.flatMap(entry => partsOf(entry, capacity))
  let memory: SharedMemory
  try {
    memory = await pool.memory({
      bytes:
        parts.reduce((sum, { elements }) => sum + elements * 4 + 64, 0) + capacity * 8 + vocabSize * 4 + 4096,
    })
  } catch (error) {
    await pool.closeSession(session)
    throw error
  }
  const held = parts.map(part => ({ part, offset: memory.alloc(part.elements * 4) }))
  for (const { part, offset } of held) {
    if (part.kind === 'state') memory.f32(offset, part.elements).fill(0)
  }
  const ids = memory.alloc(capacity * 4)
  const positions = memory.alloc(capacity * 4)
  const logits = memory.alloc(vocabSize * 4)
  const view = (offset: number, dtype: 'float32' | 'int32', ...shape: number[]): View => ({
    memory: memory.id,
    offset,
    dtype,
    shape,
  })
  let past = 0
  let runs = 0
  return {
    async next(tokens) {
      const length = tokens.length
      memory.i32(ids, length).set(tokens)
      memory.i32(positions, length).set(tokens.map((_, i) => past + i))
      const inputs: Record<string, View> = {
        input_ids: view(ids, 'int32', 1, length),
        positions: view(positions, 'int32', length),
      }
      const outputs: Record<string, View> = { logits: view(logits, 'float32', 1, vocabSize) }
      for (const { part, offset } of held) {
        const { read, written } = places(part, { past, length, runs })
        inputs[part.past] = view(offset + read.at * 4, 'float32', ...read.shape)
        outputs[part.next] = view(offset + written.at * 4, 'float32', ...written.shape)
      }
      await pool.run([[{ session, inputs, outputs }]], { worker: 0 })
      past += length
      runs++
      return memory.f32(logits, vocabSize)
    },
    async close() {
      await pool.closeSession(session)
      await pool.release(memory)
    },
  }
}

/** A tensor of the cache: its names in the graph (onnx_step_graph.ts) and its size in memory. */
type Part = { past: string; next: string; elements: number } & (
  | { kind: 'rows'; width: number; window?: number }
  | { kind: 'state'; shape: number[] }
)

function partsOf(entry: CacheEntry, capacity: number): Part[] {
  const { layer } = entry
  switch (entry.kind) {
    case 'attention': {
      const { keys, values, window } = entry
      const rows = (name: string, width: number): Part => ({
        kind: 'rows',
        past: `past_${name}.${layer}`,
        next: `${name}.${layer}`,
        elements: capacity * width,
        width,
        window,
      })
      return [rows('keys', keys), rows('values', values)]
    }
    case 'state': {
      const { name, shape } = entry
      const elements = 2 * shape.reduce((product, size) => product * size, 1)
      const [past, next] = [`past_${name}.${layer}`, `next_${name}.${layer}`]
      return [{ kind: 'state', past, next, elements, shape }]
    }
  }
}

/** Where a run reads and writes a part, in elements. */
function places(part: Part, { past, length, runs }: { past: number; length: number; runs: number }) {
  switch (part.kind) {
    case 'rows': {
      const { width, window = past + 1 } = part
      const rows = Math.min(past, window - 1)
      return {
        read: { at: (past - rows) * width, shape: [rows, width] },
        written: { at: past * width, shape: [length, width] },
      }
    }
    case 'state': {
      const { elements, shape } = part
      const [read, written] = runs % 2 === 0 ? [0, elements / 2] : [elements / 2, 0]
      return { read: { at: read, shape }, written: { at: written, shape } }
    }
  }
}

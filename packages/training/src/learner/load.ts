// Loads a batch into the blocks: rows gathered from the hook points' activations, normalised, laid side by side as x, centred;
// targets into the shared buffers.

import type { Normaliser, Span } from '@mistudio/sae'
import type { SharedMemory, Step, Task, WorkerPlace, WorkerPool } from '@mistudio/tensor'
import type { BatchSource, Columns } from '../learner.ts'
import type { Block, SharedBuffers } from './block.ts'
import { call, chunkRows, type Piece, pieces } from './pieces.ts'
import type { Products } from './products.ts'

/** Scratch for normalising rows that are not contiguous in x, or when the product cannot work in place. */
type Scratch = {
  memory: SharedMemory
  bytes: number
  raw: number
  white: number
  matrices: Map<Normaliser, number>
}

export interface Loader {
  /** Gathers the batch into x (and xc) of every block and y of the shared buffers. */
  load(batch: BatchSource): Promise<void>
  close(): Promise<void>
}

const widthOf = (columns: readonly Columns[]) => columns.reduce((sum, { width }) => sum + width, 0)

export function createLoader(options: {
  pool: WorkerPool
  products: Products
  blocks: readonly Block[]
  sharedBuffers: SharedBuffers
  dIn: number
  dOut: number
  batchSize: number
  centred: boolean
}): Loader {
  const { pool, products, blocks, sharedBuffers, dIn, dOut, batchSize, centred } = options
  let scratch: Scratch | undefined

  async function prepare(batch: BatchSource): Promise<void> {
    const all = [...batch.inputs, ...(batch.targets ?? [])]
    const found = widthOf(batch.inputs)
    if (found !== dIn) throw new Error(`a batch of ${found} columns for an SAE that reads ${dIn}`)
    const predicted = widthOf(batch.targets ?? batch.inputs)
    if (predicted !== dOut)
      throw new Error(`targets of ${predicted} columns for an SAE that predicts ${dOut}`)
    const whitens = all.flatMap(({ normaliser }) => (normaliser.kind === 'whiten' ? [normaliser] : []))
    if (scratch !== undefined && whitens.every(one => scratch!.matrices.has(one))) return
    if (scratch !== undefined) await pool.release(scratch.memory)
    const width = Math.max(...all.map(columns => columns.width))
    const bytes = chunkRows * width * 4
    const room = whitens.reduce((sum, { mean }) => sum + (mean.length + 1) * mean.length * 4 + 256, 0)
    const memory = await pool.memory({ bytes: pool.count * 2 * (bytes + 64) + room + 1024 })
    scratch = { memory, bytes, raw: 0, white: 0, matrices: new Map() }
    scratch.raw = memory.alloc(pool.count * bytes)
    scratch.white = memory.alloc(pool.count * bytes)
    for (const one of whitens) {
      const d = one.mean.length
      const at = memory.alloc((d + 1) * d * 4)
      memory.f32(at, d).set(one.mean)
      memory.f32(at + d * 4, d * d).set(one.matrix)
      scratch.matrices.set(one, at)
    }
  }

  /** The steps that put the columns `cut` of one hook point's rows at `to`, a matrix of `stride` columns. */
  function place(
    rows: BatchSource['rows'],
    columns: Columns,
    to: { memory: SharedMemory; offset: number; stride: number; cut: Span },
    piece: Piece,
  ): Step[] {
    const { activations, width, normaliser } = columns
    const { start, length } = piece
    const [left, right] = to.cut
    const chosen = { memory: rows.memory, offset: rows.offset + start * 4 }
    const target = { memory: to.memory.id, offset: to.offset + start * to.stride * 4 }
    const gather = (into: WorkerPlace, toStride: number): Step => ({
      copy: { from: activations, to: into, rows: chosen, count: length, width, toStride },
    })
    if (right - left === width && normaliser.kind !== 'whiten') {
      if (normaliser.kind === 'none') return [gather(target, to.stride)]
      if (to.stride === width) {
        return [gather(target, width), ...normalise(to.memory, target.offset, length, width, normaliser)]
      }
    }
    const { memory, bytes, raw, white, matrices } = scratch!
    const own = (base: number) => ({ base, stride: bytes })
    const result = normaliser.kind === 'whiten' ? white : raw
    const steps: Step[] = [gather({ memory: memory.id, offset: own(raw) }, width)]
    if (normaliser.kind === 'whiten') {
      const at = matrices.get(normaliser)!
      steps.push(
        call(memory, 'centreRows', own(raw), at, length, width, own(raw)),
        products.timesTransposed(
          memory,
          { offset: own(raw), rows: chunkRows, columns: width },
          { offset: at + width * 4, rows: width, columns: width },
          own(white),
        ),
      )
    } else steps.push(...normalise(memory, own(raw), length, width, normaliser))
    const from = { memory: memory.id, offset: own(result + left * 4) }
    const copied = { count: length, width: right - left, fromStride: width, toStride: to.stride }
    return [...steps, { copy: { from, to: target, ...copied } }]
  }

  function side(
    rows: BatchSource['rows'],
    all: readonly Columns[],
    span: Span,
    to: { memory: SharedMemory; offset: number },
    piece: Piece,
  ): Step[] {
    const stride = span[1] - span[0]
    let at = 0
    return all.flatMap(columns => {
      const [from, end] = [at, at + columns.width]
      at = end
      if (end <= span[0] || from >= span[1]) return []
      const cut = [Math.max(span[0] - from, 0), Math.min(span[1], end) - from] as const
      return place(
        rows,
        columns,
        { ...to, offset: to.offset + (from + cut[0] - span[0]) * 4, stride, cut },
        piece,
      )
    })
  }

  return {
    async load(batch) {
      await prepare(batch)
      const chunks = pieces(batchSize, chunkRows)
      const tasks = blocks.flatMap(({ memory, at, input, dIn: width }) =>
        chunks.map((piece): Task => {
          const steps = side(batch.rows, batch.inputs, input, { memory, offset: at.x }, piece)
          const { start, length } = piece
          if (centred) {
            const offset = start * width * 4
            steps.push(call(memory, 'centreRows', at.x + offset, at.centre, length, width, at.xc + offset))
          }
          return steps
        }),
      )
      if (sharedBuffers.ownTarget) {
        const { memory, y } = sharedBuffers
        const from = batch.targets ?? batch.inputs
        tasks.push(...chunks.map(piece => side(batch.rows, from, [0, dOut], { memory, offset: y }, piece)))
      }
      await pool.run(tasks)
    },
    async close() {
      if (scratch !== undefined) await pool.release(scratch.memory)
    },
  }
}

type At = number | { base: number; stride: number }

function normalise(memory: SharedMemory, x: At, rows: number, d: number, normaliser: Normaliser): Step[] {
  switch (normaliser.kind) {
    case 'none':
      return []
    case 'scale':
      return normaliser.scale === 1 ? [] : [call(memory, 'scaleRange', x, rows * d, normaliser.scale)]
    case 'token_rms':
      return [call(memory, 'tokenRmsRows', x, rows, d)]
    case 'layer_norm':
      return [call(memory, 'layerNormRows', x, rows, d)]
    case 'whiten':
      throw new Error('whitening is a product')
  }
}

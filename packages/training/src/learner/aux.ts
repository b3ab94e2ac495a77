// AuxK (Gao et al. 2024, arXiv 2406.04093, appendix A.2): dead latents learn to reconstruct what the main selection
// missed, r = y − x̂. Each block gathers its dead rows into a compact matrix and reads their pre-activations out of the
// main encode's, so its cost grows with the dead latents, not with the dictionary.
import type { SharedMemory, Task, WorkerPool } from '@mistudio/tensor'
import type { AuxK, Plan } from '../plan.ts'
import type { Block, SharedBuffers } from './block.ts'
import { listed, reconstructionTasks, sumChunks } from './decode.ts'
import type { DeadPart } from './encode.ts'
import { pieces, rangeLatents } from './pieces.ts'
import { keepLargest } from './select.ts'

export type Aux = {
  /** One per block; a row keeps `kAux` ≤ dead. */
  parts: DeadPart[]
  dead: number
  /** Dead latents a row keeps over all blocks. */
  kept: number
  /** Weight of the error in the gradient of a row: set by `decodeAux`. */
  scale: number
}

type Given = { plan: Plan; auxK: AuxK; blocks: readonly Block[]; batchSize: number }

/** Lists each block's dead latents, for the encode. @returns undefined if AuxK has nothing to do */
export function beginAux(options: Given & { silent: Float64Array; normed: boolean }): Aux | undefined {
  const { plan, auxK, blocks, batchSize, silent, normed } = options
  if (auxK.coefficient === 0) return undefined
  const counts = blocks.map(block => listDead(block, silent, plan.deadAfterTokens, normed))
  const dead = counts.reduce((sum, count) => sum + count, 0)
  if (dead === 0) return undefined
  const kept = Math.min(auxK.kAux, dead)
  const parts = counts.map(count => ({ dead: count, kAux: Math.min(kept, count), relu: auxK.relu }))
  blocks.forEach(({ memory, at }, b) => {
    const [from, to] = [memory.i32(at.aux!.from, batchSize), memory.i32(at.aux!.to, batchSize)]
    for (let r = 0; r < batchSize; r++) {
      from[r] = r * parts[b].kAux
      to[r] = (r + 1) * parts[b].kAux
    }
  })
  return { parts, dead, kept, scale: 0 }
}

/** Writes a block's dead columns, their norms, biases and slots in the compact matrices. @returns how many there are */
function listDead(
  { memory, at, lo, latents }: Block,
  silent: Float64Array,
  window: number,
  normed: boolean,
): number {
  const aux = at.aux!
  const columns = memory.i32(aux.deadColumns, latents)
  const slots = memory.i32(aux.slot, latents).fill(-1)
  const compact = memory.f32(aux.deadNorms, latents)
  const biases = memory.f32(aux.deadBias, latents)
  const norms = memory.f32(at.norms, latents)
  const bEnc = memory.f32(at.bEnc, latents)
  let n = 0
  for (let i = 0; i < latents; i++) {
    if (silent[lo + i] < window) continue
    columns[n] = i
    compact[n] = normed ? norms[i] : 1
    biases[n] = bEnc[i]
    slots[i] = n++
  }
  return n
}

/** After the encode: keeps the best dead latents over all blocks; scores become pre-activations again. */
export function joinAux({ blocks, batchSize, aux, normed }: Given & { aux: Aux; normed: boolean }): void {
  const all = blocks.map(({ memory, at }, b) => {
    const { kAux: k } = aux.parts[b]
    return { memory, at: at.aux!, k, value: memory.f32(at.aux!.value, batchSize * k) }
  })
  const parts = all.filter(({ k }) => k > 0)
  if (blocks.length > 1) keepLargest({ rows: batchSize, keep: aux.kept, parts })
  if (!normed) return
  for (const { memory, at, k, value } of parts) {
    const index = memory.i32(at.index, batchSize * k)
    const norms = memory.f32(at.deadNorms, Math.max(...aux.parts.map(({ dead }) => dead)))
    for (let p = 0; p < value.length; p++) if (norms[index[p]] !== 0) value[p] /= norms[index[p]]
  }
}

/**
 * The dead latents' best reconstruction of the residual (already in the shared buffers), its error and gradients; sets `aux.scale`.
 * @param options.squaredError of the batch's main reconstruction, summed
 * @returns the term as it enters the loss
 */
export async function decodeAux(
  options: Given & { pool: WorkerPool; sharedBuffers: SharedBuffers; aux: Aux; squaredError: number },
): Promise<number> {
  const { pool, plan, auxK, blocks, sharedBuffers, batchSize, aux, squaredError } = options
  const { dOut } = plan.shape
  let denominator = 1
  if (auxK.normalisation === 'variance') {
    const chunks = sharedBuffers.memory.f64(sharedBuffers.sumsLast, Math.ceil(batchSize / 256) * dOut)
    let meanSquare = 0
    for (const sum of sumChunks(chunks, dOut)) meanSquare += (sum / batchSize) ** 2
    denominator = squaredError / batchSize - meanSquare
  }
  // nan_to_num of dictionary_learning: a residual without variance gives no auxiliary signal.
  if (!(denominator > 0)) denominator = Number.POSITIVE_INFINITY
  const weight = (auxK.coefficient * (auxK.scaleByDead ? Math.min(aux.dead / auxK.kAux, 1) : 1)) / denominator
  aux.scale = (weight * 2) / batchSize
  await pool.run(blocks.flatMap((block, b) => compactTasks(block, aux.parts[b].dead)))
  const working = blocks.filter((_, b) => aux.parts[b].dead > 0)
  await pool.run(
    reconstructionTasks({
      pool,
      blocks: working,
      sharedBuffers,
      dOut,
      batchSize,
      init: blocks[0].at.zeros,
      initStride: 0,
      target: sharedBuffers.residual,
      levels: [{ width: plan.shape.dSae, weight: 1 }],
      errors: [sharedBuffers.error2],
      squared: [sharedBuffers.squared2],
      errorsOf: ({ at }) => [at.error2],
      // The compact matrix of dead rows uses the gradient's memory, which is not written until later.
      contribution: listed(({ at }) => ({ ...at.aux!, bounds: [], wDec: at.gDec })),
    }),
  )
  let squared = 0
  for (const value of sharedBuffers.memory.f64(sharedBuffers.squared2, batchSize)) squared += value
  blocks.forEach(({ memory, at }, b) => {
    const n = batchSize * aux.parts[b].kAux
    const [value, grad] = [memory.f32(at.aux!.value, n), memory.f32(at.aux!.grad, n)]
    for (let p = 0; p < n; p++) grad[p] = auxK.relu && value[p] <= 0 ? 0 : aux.scale * grad[p]
  })
  return (squared / batchSize) * weight
}

/** The compact matrix of a block's dead decoder rows. */
const compactTasks = ({ memory, at, dOut }: Block, dead: number): Task[] =>
  gatherTasks({ memory, from: at.wDec, to: at.gDec, rows: at.aux!.deadColumns, count: dead, width: dOut })

/** The compact matrix of a block's dead encoder rows, also in the gradient's memory. */
export const compactEncoderTasks = ({ memory, at, dIn }: Block, dead: number): Task[] =>
  gatherTasks({ memory, from: at.wEnc, to: at.gEnc, rows: at.aux!.deadColumns, count: dead, width: dIn })

function gatherTasks(options: {
  memory: SharedMemory
  from: number
  to: number
  rows: number
  count: number
  width: number
}): Task[] {
  const { memory, from, to, rows, count, width } = options
  const place = (offset: number) => ({ memory: memory.id, offset })
  return pieces(count, rangeLatents).map(({ start, length }): Task => {
    const copy = { from: place(from), to: place(to + start * width * 4), rows: place(rows + start * 4) }
    return [{ copy: { ...copy, count: length, width } }]
  })
}

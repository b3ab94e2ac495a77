// AuxK (Gao et al. 2024, arXiv 2406.04093, appendix A.2): dead latents learn to reconstruct what the main selection
// left over, r = x − x̂. Each block gathers its dead rows into a compact matrix and reads their pre-activations out
// of the main encode's, so its cost grows with the dead latents, not with the dictionary.
import type { Lanes, Task } from '@mistudio/tensor'
import { auxLayout, type Block, chunkRows, pieces, rangeLatents } from './topk_block.ts'
import type { TopKConfig } from './topk_config.ts'
import { decodeSelection, keepLargest, type Selection } from './topk_join.ts'
import { auxScale } from './topk_oracle.ts'

/** One block's share of a step's AuxK: its dead latents and how many of them a row keeps (kAux ≤ dead). */
export type AuxPart = { dead: number; kAux: number; relu: boolean }

export type Aux = {
  /** One for each block. */
  parts: AuxPart[]
  dead: number
  /** Dead latents a row keeps over all blocks. */
  kept: number
  /** Weight of the AuxK error in the gradient: set by `decodeAux`. */
  scale: number
}

type Given = { blocks: Block[]; config: TopKConfig; dIn: number; batchSize: number }

/** Lists each block's dead latents, for the encode. @returns undefined where there is nothing for AuxK to do */
export function beginAux(options: Given & { tokensSinceFired: Float64Array }): Aux | undefined {
  const { blocks, config, dIn, batchSize, tokensSinceFired } = options
  if (config.auxCoefficient === 0) return undefined
  const counts = blocks.map(block => listDead(block, tokensSinceFired, config.deadAfterTokens))
  const dead = counts.reduce((sum, count) => sum + count, 0)
  if (dead === 0) return undefined
  for (const block of blocks) auxLayout(block, { dIn, kAux: config.kAux, batchSize })
  const kept = Math.min(config.kAux, dead)
  const parts = counts.map(count => ({ dead: count, kAux: Math.min(kept, count), relu: config.auxRelu }))
  return { parts, dead, kept, scale: 0 }
}

/** Writes a block's dead columns and their slots in the compact matrix. @returns how many they are */
function listDead({ memory, at, lo, latents }: Block, silent: Float64Array, window: number): number {
  const columns = memory.i32(at.deadColumns, latents)
  const slots = memory.i32(at.auxSlot, latents).fill(-1)
  let n = 0
  for (let i = 0; i < latents; i++) {
    if (silent[lo + i] < window) continue
    columns[n] = i
    slots[i] = n++
  }
  return n
}

/** After the encode: of every block's best dead latents the best of all stay. */
export function joinAux(options: Given & { aux: Aux }): void {
  const { aux, batchSize } = options
  const parts = selections(options).filter(part => part.k > 0)
  keepLargest({ rows: batchSize, keep: aux.kept, parts })
}

function selections({ blocks, config, aux }: Given & { aux: Aux }): Selection[] {
  return blocks.map((block, b) => {
    const place = block.at.aux!
    return {
      block,
      k: aux.parts[b].kAux,
      index: place.index,
      value: place.value,
      grad: place.grad,
      // The compact matrix of dead rows lies in the gradient's room, which is written only later.
      wDec: block.at.gDec,
      bias: block.at.zeros,
      target: place.residual,
      error: place.error,
      squaredError: place.squaredError,
      scale: aux.scale,
      relu: config.auxRelu,
    }
  })
}

/**
 * The dead latents' best reconstruction of the residual, its error and gradients; sets `aux.scale`.
 * @param options.squaredError of the batch's main reconstruction, summed
 * @param options.errorSums Σ over rows of its error x̂ − x, [d_in]
 * @returns AuxK's loss, normalised as the configuration says
 */
export async function decodeAux(
  options: Given & { lanes: Lanes; aux: Aux; squaredError: number; errorSums: Float64Array },
): Promise<number> {
  const { lanes, blocks, config, dIn, batchSize, aux, squaredError, errorSums } = options
  let denominator = 1
  if (config.auxNormalisation === 'variance') {
    let meanSquare = 0
    for (const sum of errorSums) meanSquare += (sum / batchSize) ** 2
    denominator = squaredError / batchSize - meanSquare
  }
  // nan_to_num of dictionary_learning: a residual without variance gives no auxiliary signal.
  if (!(denominator > 0)) denominator = Number.POSITIVE_INFINITY
  const shared = auxScale(config, aux.dead) / denominator
  aux.scale = (config.auxCoefficient * shared * 2) / batchSize
  await lanes.run(blocks.flatMap((block, b) => prepareTasks(block, aux.parts[b].dead, { dIn, batchSize })))
  const parts = selections(options)
  await decodeSelection({ lanes, dIn, batchSize, parts })
  const [first] = blocks
  let squared = 0
  for (const value of first.memory.f64(first.at.aux!.squaredError, batchSize)) squared += value
  return (squared / batchSize) * shared
}

/** The compact matrix of a block's dead decoder rows, and the residual r = −(x̂ − x). */
function prepareTasks(
  { memory, at }: Block,
  dead: number,
  { dIn, batchSize }: { dIn: number; batchSize: number },
): Task[] {
  const place = (offset: number) => ({ memory: memory.id, offset })
  const compact = pieces(dead, rangeLatents).map(({ start, length }): Task => {
    const to = place(at.gDec + start * dIn * 4)
    const rows = place(at.deadColumns + start * 4)
    return [{ copy: { from: place(at.wDec), to, rows, count: length, width: dIn } }]
  })
  const residuals = pieces(batchSize, chunkRows).map(({ start, length }): Task => {
    const offset = start * dIn * 4
    const to = place(at.aux!.residual + offset)
    return [
      { copy: { from: place(at.error + offset), to, count: length, width: dIn } },
      { kernel: 'scaleRange', memory: memory.id, args: [to.offset, length * dIn, -1] },
    ]
  })
  return [...compact, ...residuals]
}

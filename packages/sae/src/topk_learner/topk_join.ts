// What crosses the blocks of a TopK SAE: the selection (each block keeps its own best k, the best k of all
// stay) and the reconstruction (a sum over blocks). With one block the latter is a single fused kernel.
import type { Lanes, Step, Task } from '@mistudio/tensor'
import { type Block, chunkRows, pieces } from './topk_block.ts'

/** Kept values of one block and where their reconstruction, error and gradients go (pointers in its memory). */
export type Selection = {
  block: Block
  k: number
  index: number
  value: number
  grad: number
  wDec: number
  /** Where the sum begins; of the first part only. */
  bias: number
  target: number
  error: number
  squaredError: number
  scale: number
  relu: boolean
}

/**
 * Keeps a row's `keep` largest values over all blocks and zeroes the rest (kernels skip zeros); ties go to the
 * lower latent, as in one block: blocks come in ascending order and each lists its latents ascending. A row with a
 * NaN stays as it is, so that the loss shows it: NaNs have no order.
 */
export function keepLargest(options: { rows: number; keep: number; parts: Selection[] }): void {
  const { rows, keep, parts } = options
  const values = parts.map(({ block, value, k }) => block.memory.f32(value, rows * k))
  const slots = parts.flatMap(({ k }, part) => Array.from({ length: k }, (_, i) => ({ part, i })))
  for (let r = 0; r < rows; r++) {
    const ranked = slots.map(({ part, i }, order) => {
      const at = r * parts[part].k + i
      return { part, at, order, value: values[part][at] }
    })
    if (ranked.some(({ value }) => Number.isNaN(value))) continue
    ranked.sort((a, b) => b.value - a.value || a.order - b.order)
    for (const { part, at } of ranked.slice(keep)) values[part][at] = 0
  }
}

/**
 * Reconstruction, error e = x̂ − target, ‖e‖² a row (in the first part's block) and every kept value's
 * gradient scale · ⟨e, d_i⟩. `columnSums` [chunks, d_in] float64 receives Σ e of each chunk of rows.
 * The sum over latents goes on from block to block in ascending order: it has the bits of one block's.
 */
export async function decodeSelection(options: {
  lanes: Lanes
  dIn: number
  batchSize: number
  parts: Selection[]
  columnSums?: number
}): Promise<void> {
  const { lanes, dIn, batchSize, parts, columnSums } = options
  const [first, ...others] = parts
  const bytesARow = dIn * 4
  await lanes.run(
    pieces(batchSize, chunkRows).map(({ start, length }): Task => {
      const errorOf = ({ block, error }: Selection) => ({
        memory: block.memory.id,
        offset: error + start * bytesARow,
      })
      const copy = (from: Selection, to: Selection): Step => ({
        copy: { from: errorOf(from), to: errorOf(to), count: length, width: dIn },
      })
      const call = ({ block }: Selection, kernel: string, ...args: number[]): Step => ({
        kernel,
        memory: block.memory.id,
        args,
      })
      const hitsOf = ({ index, value, k }: Selection) => [index + start * k * 4, value + start * k * 4]
      const gradOf = ({ grad, k }: Selection) => grad + start * k * 4
      const reluOf = ({ relu }: Selection) => (relu ? 1 : 0)
      const target = first.target + start * bytesARow
      const error = errorOf(first).offset
      const squared = first.squaredError + start * 8
      const steps: Step[] = []
      if (others.length === 0) {
        const { k, wDec, bias, scale } = first
        const what = [...hitsOf(first), length, k, wDec, dIn, bias, target, scale, reluOf(first)]
        steps.push(call(first, 'decodeStep', ...what, error, squared, gradOf(first)))
      } else {
        const { k, wDec, bias } = first
        steps.push(call(first, 'decodeRows', ...hitsOf(first), length, k, wDec, dIn, bias, error))
        others.forEach((part, i) => {
          const onto = errorOf(part).offset
          steps.push(
            copy(parts[i], part),
            call(part, 'decodeOnto', ...hitsOf(part), length, part.k, part.wDec, dIn, onto),
          )
        })
        steps.push(copy(parts[parts.length - 1], first))
        steps.push(call(first, 'residualRows', error, target, length, dIn, error, squared))
        for (const part of others) steps.push(copy(first, part))
        for (const part of parts) {
          const what = [...hitsOf(part), length, part.k, part.wDec, dIn, part.scale, reluOf(part)]
          steps.push(call(part, 'valueGrads', errorOf(part).offset, ...what, gradOf(part)))
        }
      }
      if (columnSums !== undefined) {
        const sums = columnSums + (start / chunkRows) * dIn * 8
        steps.push(call(first, 'columnSums', error, length, dIn, 1, sums))
      }
      return steps
    }),
  )
}

// What crosses the blocks of a TopK SAE: the selection (each block keeps its own best k, the best k of all
// stay) and the reconstruction (a sum over blocks). With one block both are a single fused kernel.
import type { Lanes, Task } from '@mistudio/tensor'
import { type Block, chunkRows, pieces } from './topk_block.ts'

/** Kept values of one block and where their reconstruction, error and gradients go (pointers in its memory). */
export type Selection = {
  block: Block
  k: number
  index: number
  value: number
  grad: number
  wDec: number
  bias: number
  target: number
  error: number
  squaredError: number
  scale: number
  relu: boolean
}

/**
 * Keeps a row's `keep` largest values over all blocks and zeroes the rest (kernels skip zeros); ties go to the
 * lower latent, as in one block: blocks come in ascending order and each lists its latents ascending.
 */
export function keepLargest(options: { rows: number; keep: number; parts: Selection[] }): void {
  const { rows, keep, parts } = options
  const values = parts.map(({ block, value, k }) => block.memory.f32(value, rows * k))
  const slots = parts.flatMap(({ k }, part) => Array.from({ length: k }, (_, i) => ({ part, i })))
  for (let r = 0; r < rows; r++) {
    const at = (slot: { part: number; i: number }) => r * parts[slot.part].k + slot.i
    const ranked = slots
      .map((slot, order) => ({ slot, order, value: values[slot.part][at(slot)] }))
      .sort((a, b) => b.value - a.value || a.order - b.order)
    for (const { slot } of ranked.slice(keep)) values[slot.part][at(slot)] = 0
  }
}

/**
 * Reconstruction, error e = x̂ − target, ‖e‖² a row (in the first part's block) and every kept value's
 * gradient scale · ⟨e, d_i⟩. `columnSums` [chunks, d_in] float64 receives Σ e of each chunk of rows.
 */
export async function decodeSelection(options: {
  lanes: Lanes
  dIn: number
  batchSize: number
  parts: Selection[]
  columnSums?: number
}): Promise<void> {
  const { lanes, dIn, batchSize, parts, columnSums } = options
  const [first] = parts
  const chunks = pieces(batchSize, chunkRows)
  const sumStep = (start: number, length: number): Task =>
    columnSums === undefined
      ? []
      : [
          {
            kernel: 'columnSums',
            memory: first.block.memory.id,
            args: [first.error + start * dIn * 4, length, dIn, 1, columnSums + (start / chunkRows) * dIn * 8],
          },
        ]
  if (parts.length === 1) {
    const { block, k } = first
    await lanes.run(
      chunks.map(({ start, length }): Task => {
        const hits = start * k * 4
        const row = start * dIn * 4
        const args = [
          first.index + hits,
          first.value + hits,
          length,
          k,
          first.wDec,
          dIn,
          first.bias,
          first.target + row,
          first.scale,
          first.relu ? 1 : 0,
          first.error + row,
          first.squaredError + start * 8,
          first.grad + hits,
        ]
        return [{ kernel: 'decodeStep', memory: block.memory.id, args }, ...sumStep(start, length)]
      }),
    )
    return
  }
  const each = (tasksOf: (part: Selection, start: number, length: number) => Task) =>
    lanes.run(parts.flatMap(part => chunks.map(({ start, length }) => tasksOf(part, start, length))))
  await each(({ block, index, value, k, wDec, bias, error }, start, length) => [
    {
      kernel: 'decodeRows',
      memory: block.memory.id,
      args: [
        index + start * k * 4,
        value + start * k * 4,
        length,
        k,
        wDec,
        dIn,
        bias,
        error + start * dIn * 4,
      ],
    },
  ])
  const total = first.block.memory.f32(first.error, batchSize * dIn)
  for (const { block, error } of parts.slice(1)) {
    const partial = block.memory.f32(error, batchSize * dIn)
    for (let i = 0; i < total.length; i++) total[i] += partial[i]
  }
  await lanes.run(
    chunks.map(({ start, length }): Task => {
      const row = start * dIn * 4
      const args = [
        first.error + row,
        first.target + row,
        length,
        dIn,
        first.error + row,
        first.squaredError + start * 8,
      ]
      return [{ kernel: 'residualRows', memory: first.block.memory.id, args }, ...sumStep(start, length)]
    }),
  )
  for (const { block, error } of parts.slice(1)) block.memory.f32(error, batchSize * dIn).set(total)
  await each(({ block, error, index, value, k, wDec, scale, relu, grad }, start, length) => {
    const hits = start * k * 4
    const args = [
      error + start * dIn * 4,
      index + hits,
      value + hits,
      length,
      k,
      wDec,
      dIn,
      scale,
      relu ? 1 : 0,
      grad + hits,
    ]
    return [{ kernel: 'valueGrads', memory: block.memory.id, args }]
  })
}

// The fixed pieces that work is cut into. Engine calls have fixed row counts and reductions fixed ranges, so results do
// not depend on the number of workers.
import type { Arg, SharedMemory, Step } from '@mistudio/tensor'

/** Rows of one encode call: fastest on AVX-512, and ORT's rows are bit-identical at this count. */
export const chunkRows = 256
/** Latents of one task of the gradient and Adam phases, and of one partial sum. */
export const rangeLatents = 512
/** Latents of one dense matrix product. */
export const denseLatents = 2048

export type Piece = { start: number; length: number }

/** Cuts `count` rows or latents into fixed pieces. */
export function pieces(count: number, size: number): Piece[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    start: i * size,
    length: Math.min(size, count - i * size),
  }))
}

export const paddedRows = (rows: number) => Math.ceil(rows / chunkRows) * chunkRows

export const call = (memory: SharedMemory, kernel: string, ...args: Arg[]): Step => ({
  kernel,
  memory: memory.id,
  args,
})

// One block of latents of a TopK SAE in one shared memory: where everything lies. The tasks over it: topk_tasks.ts.
// A WebAssembly memory ends at 4 GiB, so a wide SAE is several blocks; every kernel works on a block's latents
// and the learner (topk.ts) joins what crosses blocks: the selection, the reconstruction, the sums.
// Engine calls have fixed row counts and reductions fixed ranges, so results do not depend on the lanes.
import type { Lanes, SharedMemory } from '@mistudio/tensor'
import { topkScratchBytes } from '@mistudio/tensor'

/** Rows of one encode call: fastest on AVX-512, and ORT's rows are bit-identical at this count. */
export const chunkRows = 256
/** Latents of one task of the gradient and Adam phases, and of one partial sum. */
export const rangeLatents = 512

export type BlockLayout = {
  wEnc: number
  wDec: number
  bEnc: number
  moments: { wEnc: [number, number]; wDec: [number, number]; bEnc: [number, number] }
  gEnc: number
  gDec: number
  gBEnc: number
  touched: number
  squares: number
  fired: number
  bDec: number
  zeros: number
  rowIndex: number
  x: number
  xc: number
  error: number
  squaredError: number
  index: number
  value: number
  grad: number
  starts: number
  entries: number
  columnSums: number
  latentSums: number
  scratch: number
  scratchBytes: number
  deadColumns: number
  auxSlot: number
  /** Present once AuxK was needed (allocated then). */
  aux?: AuxLayout
}

export type AuxLayout = {
  error: number
  residual: number
  squaredError: number
  index: number
  value: number
  grad: number
  starts: number
  entries: number
}

export type Block = {
  /** Global latents [lo, lo + latents). */
  lo: number
  latents: number
  memory: SharedMemory
  at: BlockLayout
}

type Sizes = { dIn: number; latents: number; k: number; kAux: number; batchSize: number; lanes: number }

const paddedRows = (batchSize: number) => Math.ceil(batchSize / chunkRows) * chunkRows
const ranges = (latents: number) => Math.ceil(latents / rangeLatents)

/** Bytes of lane-private scratch: one chunk of pre-activations, its dead columns, and top-k's candidates. */
function laneScratchBytes({ latents, k, kAux }: Sizes): number {
  const topk = Math.max(topkScratchBytes(latents, k), topkScratchBytes(latents, Math.min(kAux, latents)))
  return Math.ceil((2 * chunkRows * latents * 4 + topk) / 64) * 64
}

/** Everything a block may need, AuxK included, so that a run cannot run out of room in the middle. */
export function blockBytes(sizes: Sizes): number {
  const { dIn, latents, k, kAux, batchSize, lanes } = sizes
  const rows = paddedRows(batchSize)
  const aux = Math.min(kAux, latents)
  return (
    latents * dIn * 4 * 8 +
    latents * 64 +
    rows * dIn * 4 * 5 +
    rows * (k + aux) * 16 +
    rows * 64 +
    (rows / chunkRows + ranges(latents) + 4) * dIn * 8 +
    lanes * laneScratchBytes(sizes) +
    65_536
  )
}

export async function createBlock(options: Sizes & { lo: number; pool: Lanes }): Promise<Block> {
  const { lo, latents, dIn, k, batchSize, lanes, pool } = options
  const memory = await pool.memory({ bytes: blockBytes(options) })
  const rows = paddedRows(batchSize)
  const matrix = () => memory.alloc(latents * dIn * 4)
  const vector = (n: number, bytes = 4) => memory.alloc(n * bytes)
  const scratchBytes = laneScratchBytes(options)
  const at: BlockLayout = {
    wEnc: matrix(),
    wDec: matrix(),
    bEnc: vector(latents),
    moments: {
      wEnc: [matrix(), matrix()],
      wDec: [matrix(), matrix()],
      bEnc: [vector(latents), vector(latents)],
    },
    gEnc: matrix(),
    gDec: matrix(),
    gBEnc: vector(latents),
    touched: vector(latents, 1),
    squares: vector(latents, 8),
    fired: vector(latents, 1),
    bDec: vector(dIn),
    zeros: vector(dIn),
    rowIndex: vector(rows),
    x: memory.alloc(rows * dIn * 4),
    xc: memory.alloc(rows * dIn * 4),
    error: memory.alloc(rows * dIn * 4),
    squaredError: vector(rows, 8),
    index: vector(rows * k),
    value: vector(rows * k),
    grad: vector(rows * k),
    starts: vector(latents + 1),
    entries: vector(rows * k),
    columnSums: memory.alloc((rows / chunkRows) * dIn * 8),
    latentSums: memory.alloc(ranges(latents) * dIn * 8),
    scratch: memory.alloc(lanes * scratchBytes),
    scratchBytes,
    deadColumns: vector(latents),
    auxSlot: vector(latents),
  }
  return { lo, latents, memory, at }
}

/** Room for AuxK, taken at the first step with dead latents; `kAux` columns a row. */
export function auxLayout(
  block: Block,
  options: { dIn: number; kAux: number; batchSize: number },
): AuxLayout {
  const { memory } = block
  const { dIn, batchSize } = options
  const k = Math.min(options.kAux, block.latents)
  block.at.aux ??= {
    error: memory.alloc(batchSize * dIn * 4),
    residual: memory.alloc(batchSize * dIn * 4),
    squaredError: memory.alloc(batchSize * 8),
    index: memory.alloc(batchSize * k * 4),
    value: memory.alloc(batchSize * k * 4),
    grad: memory.alloc(batchSize * k * 4),
    starts: memory.alloc((block.latents + 1) * 4),
    entries: memory.alloc(batchSize * k * 4),
  }
  return block.at.aux
}

/** Cuts `count` rows or latents into fixed pieces. */
export function pieces(count: number, size: number): { start: number; length: number }[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    start: i * size,
    length: Math.min(size, count - i * size),
  }))
}

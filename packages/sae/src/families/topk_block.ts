// One block of latents of a TopK SAE in one shared memory: where everything lies, and the tasks of each phase.
// A WebAssembly memory ends at 4 GiB, so a wide SAE is several blocks; every kernel works on a block's latents
// and the learner (topk.ts) joins what crosses blocks: the selection, the reconstruction, the sums.
// Engine calls have fixed row counts and reductions fixed ranges, so results do not depend on the lanes.
import type { Lanes, SharedMemory, Step, Task } from '@mistudio/tensor'
import { topkScratchBytes } from '@mistudio/tensor'
import type { BatchSource } from '../families.ts'

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

const call = (
  block: Block,
  kernel: string,
  ...args: (number | { base: number; stride: number })[]
): Step => ({
  kernel,
  memory: block.memory.id,
  args,
})

/** Phase 1: gather rows into the block, scale, subtract b_dec. */
export function loadTasks(
  block: Block,
  options: { batch: BatchSource; dIn: number; batchSize: number },
): Task[] {
  const { batch, dIn, batchSize } = options
  const { at, memory } = block
  return pieces(batchSize, chunkRows).map(({ start, length }) => {
    const x = at.x + start * dIn * 4
    const steps: Step[] = [
      {
        copy: {
          from: batch.activations,
          to: { memory: memory.id, offset: x },
          rows: { memory: batch.rows.memory, offset: batch.rows.offset + start * 4 },
          count: length,
          width: dIn,
        },
      },
    ]
    if (batch.scale !== 1) steps.push(call(block, 'scaleRange', x, length * dIn, batch.scale))
    steps.push(call(block, 'centreRows', x, at.bDec, length, dIn, at.xc + start * dIn * 4))
    return steps
  })
}

/**
 * Phase 2: pre-activations of a chunk by GEMM into the lane's scratch, then its top k; with dead latents their
 * columns of the same pre-activations give AuxK's selection.
 */
export function encodeTasks(
  block: Block,
  options: {
    gemm: number
    dIn: number
    k: number
    batchSize: number
    aux?: { dead: number; kAux: number; relu: boolean }
  },
): Task[] {
  const { gemm, dIn, k, batchSize, aux } = options
  const { at, memory, latents } = block
  const scratch = (offset: number) => ({ base: at.scratch + offset, stride: at.scratchBytes })
  const pre = scratch(0)
  const deadPre = scratch(chunkRows * latents * 4)
  const candidates = scratch(2 * chunkRows * latents * 4)
  return pieces(batchSize, chunkRows).map(({ start, length }) => {
    const steps: Step[] = [
      {
        session: gemm,
        inputs: {
          a: {
            memory: memory.id,
            offset: at.xc + start * dIn * 4,
            dtype: 'float32',
            shape: [chunkRows, dIn],
          },
          b: { memory: memory.id, offset: at.wEnc, dtype: 'float32', shape: [latents, dIn] },
        },
        outputs: { y: { memory: memory.id, offset: pre, dtype: 'float32', shape: [chunkRows, latents] } },
      },
      call(
        block,
        'topkRows',
        pre,
        latents,
        length,
        latents,
        at.bEnc,
        k,
        1,
        at.index + start * k * 4,
        at.value + start * k * 4,
        candidates,
      ),
    ]
    if (aux !== undefined && aux.dead > 0) {
      const place = at.aux!
      const { dead, kAux, relu } = aux
      steps.push(
        call(block, 'gatherColumns', pre, latents, length, at.bEnc, at.deadColumns, dead, deadPre),
        call(
          block,
          'topkRows',
          deadPre,
          dead,
          length,
          dead,
          0,
          kAux,
          relu ? 1 : 0,
          place.index + start * kAux * 4,
          place.value + start * kAux * 4,
          candidates,
        ),
      )
    }
    return steps
  })
}

/** Lists of hits by latent, for the main selection and for AuxK's. */
export function listTasks(
  block: Block,
  options: { k: number; batchSize: number; aux?: { dead: number; kAux: number } },
): Task[] {
  const { k, batchSize, aux } = options
  const { at, latents } = block
  const tasks: Task[] = [
    [
      call(block, 'buildLists', at.index, at.value, batchSize * k, latents, 1, at.starts, at.entries),
      call(block, 'markFired', at.index, at.value, batchSize * k, at.fired),
    ],
  ]
  if (aux !== undefined && aux.dead > 0) {
    const place = at.aux!
    tasks.push([
      call(
        block,
        'buildLists',
        place.index,
        place.value,
        batchSize * aux.kAux,
        aux.dead,
        1,
        place.starts,
        place.entries,
      ),
    ])
  }
  return tasks
}

/** Gradients of both matrices and b_enc for fixed ranges of latents, with their squared norms. */
export function gradientTasks(
  block: Block,
  options: { dIn: number; k: number; scale: number; aux?: { dead: number; kAux: number; scale: number } },
): Task[] {
  const { dIn, k, scale, aux } = options
  const { at, latents } = block
  const withAux = aux !== undefined && aux.dead > 0
  const place = at.aux
  return pieces(latents, rangeLatents).map(({ start, length }, range) => [
    call(
      block,
      'weightGrads',
      start,
      start + length,
      at.starts,
      at.entries,
      k,
      at.value,
      at.grad,
      at.error,
      at.xc,
      dIn,
      scale,
      withAux ? at.auxSlot : 0,
      withAux ? place!.starts : 0,
      withAux ? place!.entries : 0,
      withAux ? aux.kAux : 1,
      withAux ? place!.value : 0,
      withAux ? place!.grad : 0,
      withAux ? place!.error : 0,
      withAux ? aux.scale : 0,
      at.wDec,
      at.gDec,
      at.gEnc,
      at.gBEnc,
      at.touched,
      at.squares,
    ),
    call(
      block,
      'weightedRowSum',
      at.wEnc,
      at.gBEnc,
      start,
      start + length,
      dIn,
      at.latentSums + range * dIn * 8,
    ),
  ])
}

/** Adam on a fixed range of latents: dense, every row, every step. */
export function adamTasks(
  block: Block,
  options: {
    dIn: number
    learningRate: number
    beta1: number
    beta2: number
    epsilon: number
    correction1: number
    correction2: number
    clipScale: number
  },
): Task[] {
  const { dIn, learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale } = options
  const { at, latents } = block
  const rates = [learningRate, beta1, beta2, epsilon, correction1, correction2, clipScale]
  return pieces(latents, rangeLatents).map(({ start, length }) => {
    const end = start + length
    return [
      call(block, 'adamRows', at.wDec, at.gDec, ...at.moments.wDec, at.touched, start, end, dIn, ...rates, 1),
      call(block, 'adamRows', at.wEnc, at.gEnc, ...at.moments.wEnc, at.touched, start, end, dIn, ...rates, 0),
      call(block, 'adamRows', at.bEnc, at.gBEnc, ...at.moments.bEnc, at.touched, start, end, 1, ...rates, 0),
    ]
  })
}

// Sums over the usable tokens of a buffer, on the worker pool in chunks of a fixed number of rows: norms of rows, and the
// moments behind normalisation and FVU. Rows stored as bfloat16 are widened chunk by chunk.
import type {
  Arg,
  KernelStep,
  Place,
  SharedMemory,
  Step,
  StoredType,
  Task,
  WorkerPool,
} from '@mistudio/tensor'

/** Activations of one hook point, in float32 or (`dtype`) bfloat16; a worker's copy step widens them. */
export type ActivationPlace = Place & { dtype?: StoredType }

/** Tokens (rows) of one task; fixed, so sums do not depend on the worker pool. */
const chunkRows = 1024

/** Sums over the usable tokens of one buffer. */
export type BufferMoments = { tokens: number; sum: Float64Array; sumSquares: number; sumNorms: number }

/** The rows of one hook point: where they are and what is computed from them. Pointers are byte offsets. */
export type HookRows = {
  readonly hook: string
  readonly d: number
  readonly memory: SharedMemory
  readonly dtype: StoredType
  /** [rows, d] */
  readonly x: number
  /** uint8 [rows] */
  readonly mask: number
  /** float64 [rows] */
  readonly norms: number
  /** float64 [chunks, d + 2] */
  readonly partials: number
  /** A worker's widened chunk, float32 [chunkRows, d] each; unused for float32. */
  readonly widened: Arg
}

/** Makes a memory for one hook point's rows. `spare` bytes are left for the caller. */
export async function openHookRows(options: {
  pool: WorkerPool
  hook: string
  d: number
  rows: number
  dtype: StoredType
  spare?: number
}): Promise<HookRows> {
  const { pool, hook, d, rows, dtype, spare = 0 } = options
  const chunks = Math.ceil(rows / chunkRows)
  const stride = dtype === 'bfloat16' ? chunkRows * d * 4 : 0
  const sizes = [rows * d * bytesOf(dtype), rows, rows * 8, chunks * (d + 2) * 8, pool.count * stride]
  const memory = await pool.memory({ bytes: sizes.reduce((sum, size) => sum + size + 64, spare + 64) })
  const [x, mask, norms, partials, base] = sizes.map(size => memory.alloc(size))
  return { hook, d, memory, dtype, x, mask, norms, partials, widened: { base, stride } }
}

export const bytesOf = (dtype: StoredType): 2 | 4 => (dtype === 'bfloat16' ? 2 : 4)

/** A row of the hook point, as the place of a copy. */
export function rowPlace({ memory, x, d, dtype }: HookRows, row = 0): Place & { dtype: StoredType } {
  return { memory: memory.id, offset: x + row * d * bytesOf(dtype), dtype }
}

/** Norms of the first `rows` rows, into `norms`. */
export async function sumNorms(pool: WorkerPool, at: HookRows, rows: number): Promise<Float64Array> {
  await pool.run(chunked(at, rows, (from, first, count) => [normsStep(at, from, first, count)]))
  return at.memory.f64(at.norms, rows)
}

/** Norms and moments of the first `rows` rows, those where `mask` is 1. */
export async function sumMoments(pool: WorkerPool, at: HookRows, rows: number): Promise<BufferMoments> {
  const { memory, d, mask, norms, partials } = at
  const chunks = Math.ceil(rows / chunkRows)
  const width = d + 2
  memory.u8(partials, chunks * width * 8).fill(0)
  await pool.run(
    chunked(at, rows, (from, first, count) => {
      const to = partials + (first / chunkRows) * width * 8
      const args = [from, mask + first, count, d, to, to + d * 8, to + d * 8 + 8]
      return [{ kernel: 'runningMoments', memory: memory.id, args }, normsStep(at, from, first, count)]
    }),
  )
  const sum = new Float64Array(d)
  let sumSquares = 0
  let tokens = 0
  for (let c = 0; c < chunks; c++) {
    const partial = memory.f64(partials + c * width * 8, width)
    for (let j = 0; j < d; j++) sum[j] += partial[j]
    sumSquares += partial[d]
    tokens += partial[d + 1]
  }
  let sumNorms = 0
  const lengths = memory.f64(norms, rows)
  const usable = memory.u8(mask, rows)
  for (let i = 0; i < rows; i++) if (usable[i] === 1) sumNorms += lengths[i]
  return { tokens, sum, sumSquares, sumNorms }
}

/** One task per chunk; `from` is where its rows are in float32. */
function chunked(
  at: HookRows,
  rows: number,
  steps: (from: Arg, first: number, count: number) => Step[],
): Task[] {
  const { memory, dtype, d, x, widened } = at
  return Array.from({ length: Math.ceil(rows / chunkRows) }, (_, c): Task => {
    const first = c * chunkRows
    const count = Math.min(chunkRows, rows - first)
    if (dtype === 'float32') return steps(x + first * d * 4, first, count)
    const to = { memory: memory.id, offset: widened }
    return [{ copy: { from: rowPlace(at, first), to, count, width: d } }, ...steps(widened, first, count)]
  })
}

const normsStep = ({ memory, d, norms }: HookRows, from: Arg, first: number, count: number): KernelStep => ({
  kernel: 'rowNorms',
  memory: memory.id,
  args: [from, count, d, norms + first * 8],
})

/** Sums over both. */
export function addMoments(before: BufferMoments | undefined, now: BufferMoments): BufferMoments {
  if (before === undefined) return now
  return {
    tokens: before.tokens + now.tokens,
    sum: before.sum.map((value, j) => value + now.sum[j]),
    sumSquares: before.sumSquares + now.sumSquares,
    sumNorms: before.sumNorms + now.sumNorms,
  }
}

/** Moments as JSON, for checkpoints. */
export type StoredMoments = { tokens: number; sum: number[]; sumSquares: number; sumNorms: number }
export const writeMoments = (moments: BufferMoments): StoredMoments => ({ ...moments, sum: [...moments.sum] })
export const readMoments = (stored: StoredMoments): BufferMoments => ({
  ...stored,
  sum: Float64Array.from(stored.sum),
})

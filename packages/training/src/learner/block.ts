// Where a learner's data is. A WebAssembly memory is at most 4 GiB and a group of latents reads and writes columns
// of its own, so a learner is a list of blocks: latents in ascending order, each block in one memory. The shared buffers, in the
// first block's memory, hold what all blocks share: targets, the reconstruction and its errors.

import type { Span } from '@mistudio/sae'
import { memoryLimitBytes, type SharedMemory, type WorkerPool } from '@mistudio/tensor'
import type { Scoring } from '../learner.ts'
import type { Plan } from '../plan.ts'
import { type BlockLayout, type Cut, layOut, type SharedBuffersLayout, type Sizes } from './layout.ts'
import { chunkHitsOf } from './paths.ts'
import { pieces, rangeLatents } from './pieces.ts'
import { defaultScoring } from './scoring.ts'

export type Block = {
  /** First latent, how many, and the columns of x and x̂ they read and write. */
  lo: number
  latents: number
  input: Span
  output: Span
  dIn: number
  dOut: number
  memory: SharedMemory
  /** Whether the block reads its errors from the shared buffers; otherwise they are copied. */
  shared: boolean
  /** Most hits of a chunk of rows. */
  chunkHits: number
  at: BlockLayout
}

export type SharedBuffers = SharedBuffersLayout & { memory: SharedMemory }

/** Bytes of a block's memory. */
function blockBytes(sizes: Sizes): number {
  let bytes = 0
  layOut(sizes, size => {
    bytes += Math.ceil(size / 64) * 64
    return bytes
  })
  return bytes + 65_536
}

/**
 * The groups cut into blocks that fit 4 GiB, in whole ranges of latents, so that every partial sum is the same in one block
 * and in many, and the bits do not depend on how much room the workers' scratch leaves.
 */
function cutBlocks(options: {
  plan: Plan
  scoring: Scoring
  batchSize: number
  workers: number
  latentsPerBlock?: number
}): Cut[] {
  const { plan, scoring, batchSize, workers, latentsPerBlock } = options
  const ownTarget = needsTarget(plan)
  return plan.groups.flatMap(({ latents: [lo, hi], input, output }): Cut[] => {
    const count = hi - lo
    const fits = (latents: number) =>
      blockBytes({ plan, scoring, batchSize, workers, first: true, ownTarget, lo, latents, input, output }) <=
      memoryLimitBytes
    let size = latentsPerBlock ?? count
    for (let parts = 2; latentsPerBlock === undefined && !fits(size); parts++) {
      if (size === rangeLatents) throw new Error(`${workers} workers leave no room for a block of latents`)
      size = Math.ceil(count / parts / rangeLatents) * rangeLatents
    }
    return pieces(count, size).map(({ start, length }) => ({
      lo: lo + start,
      latents: length,
      input,
      output,
    }))
  })
}

/** Whether targets need memory of their own. Not if a centred encoder reads all of x: x is then the target. */
function needsTarget({ shape, groups, centred }: Plan): boolean {
  const [{ input }] = groups
  return !(centred && input[0] === 0 && input[1] === shape.dIn)
}

/** Bytes of a learner over all its blocks, for advice before a start. */
export function learnerBytes(options: { plan: Plan; batchSize: number; workers: number }): number {
  const { plan } = options
  const sizes = { ...options, scoring: defaultScoring(plan), ownTarget: needsTarget(plan) }
  return cutBlocks(sizes).reduce((sum, cut, b) => sum + blockBytes({ ...sizes, ...cut, first: b === 0 }), 0)
}

export async function createBlocks(options: {
  pool: WorkerPool
  plan: Plan
  scoring: Scoring
  batchSize: number
  latentsPerBlock?: number
}): Promise<{ blocks: Block[]; sharedBuffers: SharedBuffers }> {
  const { pool, plan, scoring, batchSize, latentsPerBlock } = options
  const cuts = cutBlocks({ plan, scoring, batchSize, workers: pool.count, latentsPerBlock })
  const blocks: Block[] = []
  let sharedBuffers: SharedBuffers | undefined
  for (const [b, cut] of cuts.entries()) {
    const sizes = {
      plan,
      scoring,
      batchSize,
      workers: pool.count,
      first: b === 0,
      ownTarget: needsTarget(plan),
      ...cut,
    }
    const memory = await pool.memory({ bytes: blockBytes(sizes) })
    const { at, sharedBuffers: made } = layOut(sizes, bytes => memory.alloc(Math.max(bytes, 64)))
    const { input, output, latents } = cut
    if (made !== undefined) sharedBuffers = { ...made, memory }
    const inside = plan.normSegments.flatMap(([from, to]) => {
      const [lo, hi] = [Math.max(from, output[0]), Math.min(to, output[1])]
      return lo < hi ? [lo - output[0], hi - output[0]] : []
    })
    memory.i32(at.segments, inside.length).set(inside)
    at.segmentCount = inside.length / 2
    if (at.sameSlot !== 0)
      memory.i32(at.sameSlot, latents).set(Int32Array.from({ length: latents }, (_, i) => i))
    const dOut = output[1] - output[0]
    blocks.push({
      ...cut,
      dIn: input[1] - input[0],
      dOut,
      memory,
      shared: b === 0 && dOut === plan.shape.dOut,
      chunkHits: chunkHitsOf(plan, latents),
      at,
    })
  }
  return { blocks, sharedBuffers: sharedBuffers! }
}

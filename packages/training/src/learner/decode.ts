// A reconstruction and its errors over all blocks: x̂ is accumulated block by block in ascending order of
// latents (with the same bits as a single block), each level's error is taken where its latents end, and every block gets
// back the errors of the columns it writes. The main reconstruction, AuxK's and gated's auxiliary one all use this.
import type { Step, Task, WorkerPool } from '@mistudio/tensor'
import type { Level } from '../plan.ts'
import type { Block, SharedBuffers } from './block.ts'
import { call, chunkRows, type Piece, pieces } from './pieces.ts'

/** What one block adds to a reconstruction. */
export type Contribution = {
  /** Adds the latents between level `level` − 1 and `level` to `part` [rows of the piece, dOut of the block]. */
  onto(block: Block, piece: Piece, level: number, part: number): Step[]
  /** From the errors of the piece's rows, what the gradients need. */
  back(block: Block, piece: Piece, level: number, error: number): Step[]
  /** All of it at once, for one block that uses the shared buffers and one level: faster if given. */
  fused?(
    block: Block,
    piece: Piece,
    room: { init: number; initStride: number; target: number; error: number; squared: number },
  ): Step[]
}

export type Reconstruction = {
  pool: WorkerPool
  blocks: readonly Block[]
  sharedBuffers: SharedBuffers
  dOut: number
  batchSize: number
  /** Where the sum begins: one row for all (stride 0) or one per row. */
  init: number
  initStride: number
  target: number
  levels: readonly Level[]
  /** Per level, in the shared buffers: errors x̂ − target [rows, dOut] and squared errors per row. */
  errors: readonly number[]
  squared: readonly number[]
  /** The same errors, for a block with its own memory or columns. */
  errorsOf(block: Block): readonly number[]
  contribution: Contribution
  /** Steps on a piece of rows once all levels' errors are known, before they are weighted. */
  measure?(piece: Piece): Step[]
  /** After they are weighted and summed: level j's errors are then Σ of the levels ≥ j. */
  finish?(piece: Piece): Step[]
}

/** Latents of a block that end at or before a level's width belong to it. */
export function reconstructionTasks(options: Reconstruction): Task[] {
  const {
    blocks,
    sharedBuffers,
    dOut,
    batchSize,
    init,
    initStride,
    target,
    levels,
    errors,
    squared,
    contribution,
  } = options
  const [first] = blocks
  const single = blocks.length === 1 && first.shared && levels.length === 1
  const plain = levels.length === 1 && levels[0].weight === 1
  return pieces(batchSize, chunkRows).map((piece): Task => {
    const { start, length } = piece
    const row = start * dOut * 4
    const target0 = target + row
    const steps: Step[] = []
    const home = (kernel: string, ...args: number[]) => call(sharedBuffers.memory, kernel, ...args)
    if (single && contribution.fused !== undefined) {
      const room = {
        init: init + start * initStride * 4,
        initStride,
        target: target0,
        error: errors[0] + row,
        squared: squared[0] + start * 8,
      }
      steps.push(...contribution.fused(first, piece, room))
    } else {
      const running = sharedBuffers.running + row
      steps.push(
        copyIn(
          sharedBuffers.memory.id,
          init + start * initStride * 4,
          sharedBuffers.memory.id,
          running,
          length,
          dOut,
          initStride,
          dOut,
        ),
      )
      let below = 0
      for (const [level, { width }] of levels.entries()) {
        for (const block of blocks) {
          if (block.lo >= width || block.lo + block.latents <= below) continue
          if (block.shared) {
            steps.push(...contribution.onto(block, piece, level, running))
            continue
          }
          const part = block.at.part + start * block.dOut * 4
          const column = running + block.output[0] * 4
          steps.push(
            copyIn(
              sharedBuffers.memory.id,
              column,
              block.memory.id,
              part,
              length,
              block.dOut,
              dOut,
              block.dOut,
            ),
            ...contribution.onto(block, piece, level, part),
            copyIn(
              block.memory.id,
              part,
              sharedBuffers.memory.id,
              column,
              length,
              block.dOut,
              block.dOut,
              dOut,
            ),
          )
        }
        below = width
        steps.push(
          home(
            'residualRows',
            running,
            target0,
            length,
            dOut,
            errors[level] + row,
            squared[level] + start * 8,
          ),
        )
      }
    }
    steps.push(...(options.measure?.(piece) ?? []))
    if (!plain) {
      for (let level = levels.length - 1; level >= 0; level--) {
        const at = errors[level] + row
        const above = level + 1 < levels.length ? errors[level + 1] + row : at
        steps.push(home('combineRange', at, levels[level].weight, above, above === at ? 0 : 1, length * dOut))
      }
    }
    steps.push(...(options.finish?.(piece) ?? []))
    if (single && contribution.fused !== undefined) return steps
    for (const block of blocks) {
      const own = options.errorsOf(block)
      let from = 0
      for (const [level, { width }] of levels.entries()) {
        const inside = block.lo < width && block.lo + block.latents > from
        from = width
        if (!inside) continue
        const error = own[level] + start * block.dOut * 4
        if (!block.shared) {
          const column = errors[level] + row + block.output[0] * 4
          steps.push(
            copyIn(
              sharedBuffers.memory.id,
              column,
              block.memory.id,
              error,
              length,
              block.dOut,
              dOut,
              block.dOut,
            ),
          )
        }
        steps.push(...contribution.back(block, piece, level, error))
      }
    }
    return steps
  })
}

function copyIn(
  from: number,
  source: number,
  to: number,
  target: number,
  count: number,
  width: number,
  fromStride: number,
  toStride: number,
): Step {
  return {
    copy: {
      from: { memory: from, offset: source },
      to: { memory: to, offset: target },
      count,
      width,
      fromStride,
      toStride,
    },
  }
}

/** Sums of a float64 array of `chunks` rows of `width`. */
export function sumChunks(values: Float64Array, width: number): Float64Array {
  const sums = new Float64Array(width)
  for (let at = 0; at < values.length; at += width) for (let j = 0; j < width; j++) sums[j] += values[at + j]
  return sums
}

/** Hits in lists as a contribution: `value` is decoded, `grad` receives ⟨error, d⟩ of every hit. */
export function listed(
  lists: (block: Block) => {
    index: number
    value: number
    grad: number
    from: number
    to: number
    /** The spans' inner bounds at each level's width; one level has none. */
    bounds: readonly number[]
    wDec: number
  },
): Contribution {
  const span = (block: Block, { start }: Piece, level: number) => {
    const { from, to, bounds } = lists(block)
    const at = start * 4
    const lower = level === 0 || bounds.length === 0 ? from : bounds[level - 1]
    const upper = bounds.length === 0 ? to : bounds[level]
    return [lower + at, upper + at]
  }
  return {
    onto(block, piece, level, part) {
      const { index, value, wDec } = lists(block)
      const { length } = piece
      return [
        call(
          block.memory,
          'decodeSpans',
          index,
          value,
          ...span(block, piece, level),
          length,
          wDec,
          block.dOut,
          part,
          block.dOut,
          part,
        ),
      ]
    },
    back(block, piece, level, error) {
      const { index, grad, wDec } = lists(block)
      return [
        call(
          block.memory,
          'dotSpans',
          error,
          index,
          ...span(block, piece, level),
          piece.length,
          wDec,
          block.dOut,
          grad,
        ),
      ]
    },
    fused(block, piece, { init, initStride, target, error, squared }) {
      const { index, value, grad, from, to, wDec } = lists(block)
      const at = piece.start * 4
      return [
        call(
          block.memory,
          'decodeHits',
          index,
          value,
          from + at,
          to + at,
          piece.length,
          wDec,
          block.dOut,
          init,
          initStride,
          target,
          error,
          squared,
          grad,
        ),
      ]
    },
  }
}

// Gradients of both matrices and b_enc: summed from the lists of hits, or (dense) already computed as products; then what
// all rows share, decoder norms, the unit-norm constraint. Fixed ranges of latents, cut at the step's levels.
import type { Step, Task, WorkerPool } from '@mistudio/tensor'
import type { Level, Plan } from '../plan.ts'
import type { Aux } from './aux.ts'
import type { Block } from './block.ts'
import { type Lists, levelsKey, runKept } from './engine.ts'
import type { Hits } from './hits.ts'
import { call, pieces, rangeLatents } from './pieces.ts'

type Range = { start: number; length: number; level: number }

/** Ranges of latents of a block, none of which crosses the end of a level. */
function ranges({ lo, latents }: Block, levels: readonly Level[]): Range[] {
  let from = 0
  return levels.flatMap(({ width }, level): Range[] => {
    const to = Math.min(Math.max(width - lo, 0), latents)
    const part = pieces(to - from, rangeLatents).map(({ start, length }) => ({
      start: from + start,
      length,
      level,
    }))
    from = Math.max(from, to)
    return part
  })
}

/** How many partial sums of W_enc rows a block has: one per range. */
export const rangeCount = (block: Block, levels: readonly Level[]) => ranges(block, levels).length

export type GradientOptions = {
  pool: WorkerPool
  lists: Lists
  plan: Plan
  blocks: readonly Block[]
  hits: readonly Hits[]
  levels: readonly Level[]
  dense: boolean
  /** 2/B. */
  scale: number
  aux?: Aux
  batchSize: number
  /** Whether decoder norms have a gradient (`normGrad`), and whether all rows share one (`outer`). */
  norms: boolean
  outer: boolean
}

/** Lists of hits by latent. */
export async function listHits({ pool, plan, blocks, hits, aux, batchSize }: GradientOptions): Promise<void> {
  // Hits without a value can have a gradient (JumpReLU's window, gated); a fixed k keeps values of 0.
  const skip = plan.selection.kind === 'topk' ? 1 : 0
  await pool.run(
    blocks.flatMap((block, b): Task[] => {
      const { memory, at, latents } = block
      const lists = [at.index, at.value, hits[b].count, latents, skip, at.starts, at.entries]
      const tasks: Task[] = [[call(memory, 'buildLists', ...lists)]]
      const part = aux?.parts[b]
      if (part !== undefined && part.dead > 0) {
        const { index, value, starts, entries } = at.aux!
        tasks.push([
          call(memory, 'buildLists', index, value, batchSize * part.kAux, part.dead, 1, starts, entries),
        ])
      }
      return tasks
    }),
  )
}

/** Computes gEnc, gDec, gBEnc, squares and the partial sums Σ gBEnc·W_enc (`latentSums`, one per range). */
export async function sumGradients(options: GradientOptions): Promise<void> {
  const { plan, blocks, levels, dense, scale, aux, norms, outer } = options
  const unit = plan.decoder === 'unit'
  const finish = dense || norms || outer
  const key = aux === undefined ? `gradients ${dense} ${outer} ${scale} ${levelsKey(levels)}` : undefined
  const tasks = (steps: (block: Block, b: number, range: Range, index: number) => Step[]): Task[] =>
    blocks.flatMap((block, b) =>
      ranges(block, levels).map((range, index): Task => steps(block, b, range, index)),
    )
  /** Steps of `weightGrads` for one side: 1 the decoder's, 2 the encoder's. */
  const sums = (side: number, block: Block, b: number, { start, length, level }: Range): Step => {
    const { memory, at, dIn, dOut } = block
    const gated = plan.selection.kind === 'gated' && !plan.selection.frozenDecoder
    const part = aux?.parts[b]
    const second =
      part !== undefined && part.dead > 0
        ? secondPart(block, part.kAux, aux!.scale)
        : gated
          ? samePart(block, scale)
          : [0, 0, 0, 0, 1, 0, 0, 0, 0]
    const main = [at.starts, at.entries, at.row, 1, at.value, at.grad, at.errors[level], scale]
    const project = unit && !finish ? at.wDec : 0
    const results = [at.gDec, at.gEnc, at.gBEnc, at.touched, at.squares, side]
    const range = [start, start + length]
    return call(memory, 'weightGrads', ...range, ...main, ...second, at.xc, dOut, dIn, project, ...results)
  }
  const side = (name: string) => (key === undefined ? undefined : `${name} ${key}`)
  // One side after the other: see the kernel.
  if (!dense)
    await runKept(options, side('decoder'), () => tasks((block, b, range) => [sums(1, block, b, range)]))
  await runKept(options, side('encoder'), () =>
    tasks((block, b, range, index) => {
      const { memory, at, dIn, dOut } = block
      const { start, length } = range
      const end = start + length
      const steps = dense ? [] : [sums(2, block, b, range)]
      if (finish) {
        const shared = [
          ...[dense ? scale : 1, norms ? at.normGrad : 0, at.segments, at.segmentCount],
          ...[outer ? at.outer : 0, at.inputTotal, unit ? 1 : 0],
        ]
        const results = [at.wDec, dOut, dIn, at.gDec, at.gEnc, at.gBEnc, at.touched, at.squares]
        steps.push(call(memory, 'finishGrads', start, end, ...shared, ...results))
      }
      if (plan.centred) {
        const sum = at.latentSums + index * dIn * 8
        steps.push(call(memory, 'weightedRowSum', at.wEnc, at.gBEnc, start, end, dIn, sum))
      }
      return steps
    }),
  )
}

/** AuxK's share: its own lists, errors and weight. */
function secondPart({ at }: Block, kAux: number, scale: number): number[] {
  const aux = at.aux!
  return [aux.slot, aux.starts, aux.entries, 0, kAux, aux.value, aux.grad, at.error2, scale]
}

/** The unfrozen auxiliary decoder of a gated SAE: the same hits with ReLU(π) and its errors; dL/dz is in `grad` already. */
function samePart({ at }: Block, scale: number): number[] {
  return [at.sameSlot, at.starts, at.entries, at.row, 1, at.pre, at.noGrad, at.error2, scale]
}

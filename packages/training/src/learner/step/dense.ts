// The dense half: while many latents fire, activations are whole matrices [rows, latents] in tiles of `denseLatents`
// columns, and a step is five products (encode, decode, dots, both weight gradients) with kernels between them.
import type { Step, Task, WorkerPool } from '@mistudio/tensor'
import type { Plan } from '../../plan.ts'
import type { Block } from '../block.ts'
import type { Contribution } from '../decode.ts'
import { scratchOf } from '../encode.ts'
import { denseColumns } from '../layout.ts'
import { call, chunkRows, denseLatents, type Piece, paddedRows, pieces } from '../pieces.ts'
import type { Products } from '../products.ts'
import type { LatentSums, StepRates } from '../rules.ts'

/** Sums over a chunk's rows, by latent: their order in `columns`. */
const column = { fired: 0, activation: 1, grad: 2, first: 3, second: 4, third: 5, fourth: 6 }

type Given = { plan: Plan; products: Products; batchSize: number }

/** Where a chunk's rows of a tile are in a dense matrix. */
const tile = (matrix: number, batchSize: number, range: Piece, row: number) =>
  matrix + (paddedRows(batchSize) * range.start + row * range.length) * 4

const columnsAt = ({ at, latents }: Block, chunk: number, which: number, range: Piece) =>
  at.dense!.columns + ((chunk * denseColumns + which) * latents + range.start) * 4

/** Pre-activations and activations of all rows. */
export function denseEncodeTasks(block: Block, { plan, products, batchSize }: Given): Task[] {
  const { at, memory, latents, dIn } = block
  const dense = at.dense!
  memory.f32(dense.columns, (paddedRows(batchSize) / chunkRows) * denseColumns * latents).fill(0)
  memory.i32(dense.rowCount, batchSize).fill(0)
  return pieces(batchSize, chunkRows).map(
    ({ start, length }, chunk): Task =>
      pieces(latents, denseLatents).flatMap((range): Step[] => {
        const { start: lo, length: m } = range
        const relu = plan.selection.kind === 'relu'
        const f = tile(dense.f, batchSize, range, start)
        const pre = relu ? f : tile(dense.g, batchSize, range, start)
        const a = { offset: at.xc + start * dIn * 4, rows: chunkRows, columns: dIn }
        const b = { offset: at.wEnc + lo * dIn * 4, rows: m, columns: dIn }
        const of = (which: number) => columnsAt(block, chunk, which, range)
        const counts = [of(column.fired), of(column.activation), dense.rowCount + start * 4]
        const own = (vector: number) => vector + lo * 4
        const product = products.timesTransposed(memory, a, b, pre)
        switch (plan.selection.kind) {
          case 'jumprelu':
            return [
              product,
              call(memory, 'jumpreluRows', pre, length, m, own(at.bEnc), own(at.threshold), f, ...counts),
            ]
          case 'gated': {
            const gate = [own(at.bEnc), own(at.magnitude), own(at.bMag)]
            return [product, call(memory, 'gatedRows', pre, length, m, ...gate, f, ...counts)]
          }
          default:
            return [product, call(memory, 'reluRows', pre, length, m, own(at.bEnc), ...counts)]
        }
      }),
  )
}

/** Adds Σ f·W_dec over all tiles: a chain of products that accumulates in `part`. `second`: gated's ReLU(π). */
function ontoSteps(
  block: Block,
  { products, batchSize }: Given,
  piece: Piece,
  part: number,
  second: boolean,
): Step[] {
  const { at, memory, latents, dOut } = block
  const dense = at.dense!
  const wide = Math.min(denseLatents, latents)
  const room = (which: number) => scratchOf(block, chunkRows * wide * 4 * 3 + which * chunkRows * dOut * 4)
  const gate = scratchOf(block)
  const ranges = pieces(latents, denseLatents)
  const steps: Step[] = []
  let sum: ReturnType<typeof scratchOf> = part
  for (const [n, range] of ranges.entries()) {
    let rows: ReturnType<typeof scratchOf> = tile(dense.f, batchSize, range, piece.start)
    if (second) {
      steps.push(
        call(
          memory,
          'reluInto',
          tile(dense.g, batchSize, range, piece.start),
          piece.length * range.length,
          gate,
        ),
      )
      rows = gate
    }
    const a = { offset: rows, rows: chunkRows, columns: range.length }
    const b = { offset: at.wDec + range.start * dOut * 4, rows: range.length, columns: dOut }
    const to = room(n % 2)
    steps.push(products.timesPlus(memory, a, b, sum, to))
    sum = to
  }
  const place = (offset: ReturnType<typeof scratchOf>) => ({ memory: memory.id, offset })
  steps.push({ copy: { from: place(sum), to: place(part), count: piece.length, width: dOut } })
  return steps
}

export type DenseBack = Given & {
  rates: () => StepRates
  p: () => number
  /** Whether the pre-act loss is on. Its coefficients are in `preAct`. */
  preAct: boolean
}

/** The dense path's main reconstruction. For gated, its dots wait for the auxiliary reconstruction's. */
export function denseContribution(given: DenseBack): Contribution {
  const gated = given.plan.selection.kind === 'gated'
  return {
    onto: (block, piece, _level, part) => ontoSteps(block, given, piece, part, false),
    back: (block, piece, _level, error) => (gated ? [] : backSteps(block, given, piece, error)),
  }
}

/** Gated's auxiliary reconstruction, then both paths backward. */
export function denseGateContribution(given: DenseBack): Contribution {
  return {
    onto(block, piece, _level, part) {
      const { at, memory } = block
      const steps = ontoSteps(block, given, piece, part, true)
      if (at.dense!.f2 === 0) return steps
      const keep = pieces(block.latents, denseLatents).map(range => {
        const [from, to] = [at.dense!.g, at.dense!.f2].map(matrix =>
          tile(matrix, given.batchSize, range, piece.start),
        )
        return call(memory, 'reluInto', from, piece.length * range.length, to)
      })
      return [...steps, ...keep]
    },
    back: (block, piece, _level, error) =>
      backSteps(block, given, piece, block.at.errors[0] + piece.start * block.dOut * 4, error),
  }
}

/** Dots with the decoder rows, then the kernel that overwrites π with dL/dπ. */
function backSteps(block: Block, given: DenseBack, piece: Piece, error: number, error2 = 0): Step[] {
  const { plan, products, batchSize, preAct } = given
  const { at, memory, latents, dOut } = block
  const { start, length } = piece
  const chunk = start / chunkRows
  const { scale, step } = given.rates()
  const dense = at.dense!
  const wide = Math.min(denseLatents, latents)
  return pieces(latents, denseLatents).flatMap((range): Step[] => {
    const { start: lo, length: m } = range
    const of = (which: number) => columnsAt(block, chunk, which, range)
    const own = (vector: number) => vector + lo * 4
    const d = scratchOf(block)
    const d2 = scratchOf(block, chunkRows * wide * 4)
    const w = { offset: at.wDec + lo * dOut * 4, rows: m, columns: dOut }
    const dots = (from: number, to: ReturnType<typeof scratchOf>) =>
      products.timesTransposed(memory, { offset: from, rows: chunkRows, columns: dOut }, w, to)
    const f = tile(dense.f, batchSize, range, start)
    const g = tile(dense.g, batchSize, range, start)
    const steps: Step[] = [dots(error, d)]
    switch (plan.selection.kind) {
      case 'jumprelu': {
        const { bandwidth, steToInput } = plan.selection
        const tanh = plan.penalty?.kind === 'tanh' ? plan.penalty.scale : 0
        steps.push(
          call(
            memory,
            'jumpreluBack',
            d,
            g,
            length,
            m,
            scale,
            own(at.threshold),
            bandwidth,
            step,
            tanh > 0 ? own(at.penalty) : 0,
            own(at.norms),
            tanh,
            preAct ? own(at.preAct) : 0,
            steToInput ? 1 : 0,
            g,
            of(column.grad),
            of(column.first),
            of(column.second),
            of(column.third),
            of(column.fourth),
          ),
        )
        return steps
      }
      case 'gated':
        steps.push(
          dots(error2, d2),
          call(
            memory,
            'gatedBack',
            d,
            d2,
            g,
            f,
            length,
            m,
            scale,
            own(at.bEnc),
            own(at.magnitude),
            own(at.penalty),
            g,
            of(column.grad),
            of(column.first),
            of(column.second),
            of(column.third),
            of(column.fourth),
          ),
        )
        return steps
      default: {
        const p = given.p()
        const sums = of(column.grad)
        if (plan.penalty?.kind === 'lp' && p !== 1) {
          steps.push(
            call(memory, 'powerBack', d, f, length, m, scale, own(at.penalty), p, g, sums, of(column.first)),
          )
        } else steps.push(call(memory, 'reluBack', d, f, length, m, scale, own(at.penalty), g, sums))
        return steps
      }
    }
  })
}

/** Reads a chunked column sum into float64 [latents]. */
function readColumn(block: Block, batchSize: number, which: number): Float64Array {
  const { at, memory, latents } = block
  const sums = new Float64Array(latents)
  const chunks = Math.ceil(batchSize / chunkRows)
  for (let chunk = 0; chunk < chunks; chunk++) {
    const part = memory.f32(at.dense!.columns + (chunk * denseColumns + which) * latents * 4, latents)
    for (let i = 0; i < latents; i++) sums[i] += part[i]
  }
  return sums
}

/** What the encode counted. */
export function readFired(block: Block, batchSize: number, sums: LatentSums): void {
  sums.fired.set(readColumn(block, batchSize, column.fired))
  sums.activation.set(readColumn(block, batchSize, column.activation))
}

/** What the backward kernels summed, and Σ dL/dπ into gBEnc. */
export function readBackward(
  block: Block,
  options: { plan: Plan; batchSize: number; rates: StepRates; p: number; sums: LatentSums },
): void {
  const { plan, batchSize, rates, p, sums } = options
  const { at, memory, latents } = block
  const read = (which: number) => readColumn(block, batchSize, which)
  memory.f32(at.gBEnc, latents).set(read(column.grad))
  const { penalty: lambda } = rates
  const scaled = (values: Float64Array) => values.map(value => lambda * value)
  switch (plan.selection.kind) {
    case 'jumprelu':
      sums.threshold.set(read(column.first))
      sums.penalty.set(read(column.second))
      sums.norm.set(read(column.third))
      // Σ ReLU(θ − π) if the pre-act loss is on.
      sums.openPre.set(read(column.fourth))
      return
    case 'gated': {
      sums.gate.set(read(column.first))
      sums.magnitude.set(read(column.second))
      sums.scale.set(read(column.third))
      const pi = read(column.fourth)
      sums.penalty.set(pi)
      sums.norm.set(scaled(pi))
      return
    }
    default: {
      const powers = plan.penalty?.kind === 'lp' && p !== 1 ? read(column.first) : sums.activation
      sums.penalty.set(powers)
      sums.norm.set(scaled(powers))
    }
  }
}

/** Both weight gradients by tiles: Fᵀ E and Gᵀ Xc over all rows at once. dL/dx̂'s factor 2/B is left to finishGrads. */
export async function denseGradients(
  options: Given & { pool: WorkerPool; blocks: readonly Block[] },
): Promise<void> {
  const { pool, blocks, products, batchSize } = options
  await pool.run(
    blocks.flatMap(block => {
      const { at, memory, latents, dIn, dOut } = block
      const dense = at.dense!
      memory.u8(at.touched, latents).fill(1)
      return pieces(latents, denseLatents).flatMap((range): Task[] => {
        const { start: lo, length: m } = range
        const rows = (offset: number, columns: number) => ({ offset, rows: batchSize, columns })
        const f = rows(tile(dense.f, batchSize, range, 0), m)
        const g = rows(tile(dense.g, batchSize, range, 0), m)
        const gDec = at.gDec + lo * dOut * 4
        const dec: Step[] = [products.transposedTimes(memory, f, rows(at.errors[0], dOut), gDec)]
        return [dec, [products.transposedTimes(memory, g, rows(at.xc, dIn), at.gEnc + lo * dIn * 4)]]
      })
    }),
  )
  // The unfrozen auxiliary decoder of SAELens's gated SAE: adds its share of W_dec's gradient.
  if (blocks.every(({ at }) => at.dense!.f2 === 0)) return
  await pool.run(
    blocks.flatMap(block => {
      const { at, memory, latents, dOut } = block
      return pieces(latents, denseLatents).map(({ start: lo, length: m }): Task => {
        const range = { start: lo, length: m }
        const f2 = { offset: tile(at.dense!.f2, batchSize, range, 0), rows: batchSize, columns: m }
        const e2 = { offset: at.error2, rows: batchSize, columns: dOut }
        const gDec = at.gDec + lo * dOut * 4
        const room = scratchOf(block)
        return [
          products.transposedTimes(memory, f2, e2, room),
          call(memory, 'addRange', gDec, room, m * dOut),
        ]
      })
    }),
  )
}

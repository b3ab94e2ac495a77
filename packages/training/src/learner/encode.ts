// Scores of every chunk of rows by one product into the worker's scratch, and what the selection keeps of them: a row's k
// largest, or all above a limit. BatchTopK then chooses exactly among candidates (select.ts).
import type { Arg, Step, Task } from '@mistudio/tensor'
import type { Plan } from '../plan.ts'
import type { Block } from './block.ts'
import { call, chunkRows, type Piece, pieces } from './pieces.ts'
import type { Products } from './products.ts'
import { gathering, probes, rescoredCount } from './scoring.ts'
import { type Screen, spareRows } from './screen.ts'

/** A block's dead latents in this step: how many, and how many of them a row keeps. */
export type DeadPart = { dead: number; kAux: number; relu: boolean }

type ScratchPart = Exclude<keyof Block['at']['worker'], 'bytes'>

export const scratchOf = ({ at }: Block, offset = 0): Arg => ({
  base: at.scratch + offset,
  stride: at.worker.bytes,
})

/** A part of the worker's scratch. */
const scratchAt = (block: Block, part: ScratchPart): Arg => scratchOf(block, block.at.worker[part])

export type EncodeOptions = {
  products: Products
  batchSize: number
  normed: boolean
  dead?: DeadPart
  /** Whether the chosen scores are recomputed one by one. */
  rescored: boolean
  /** The eight-bit product that chooses; without it the float32 product does. */
  screen?: Screen
  /** Only these chunks; default all. */
  chunks?: readonly number[]
}

/** x, d_in, W_enc, b_enc and factors from a latent on, as kernels for single scores take them. */
const encoderOf = ({ at, dIn }: Block, rows: number, normed: boolean, from = 0) => [
  ...[rows, dIn, at.wEnc + from * dIn * 4, at.bEnc + from * 4],
  normed ? at.norms + from * 4 : 0,
]

/**
 * Scores of a chunk in the worker's scratch, upper bounds if the screen chooses, and the bias that the reader must still
 * add: a pointer, 0 for none.
 */
function scoreSteps(block: Block, piece: Piece, options: EncodeOptions) {
  const { products, normed, rescored, screen } = options
  const { at, memory, latents, dIn } = block
  const { start, length } = piece
  const pre = scratchAt(block, 'pre')
  const rows = at.xc + start * dIn * 4
  if (screen !== undefined) {
    const [rows8, rowScale] = [scratchAt(block, 'rows8'), scratchAt(block, 'rowScale')]
    const encoder = encoderOf(block, rows, normed)
    const steps = [
      quantiseStep(block, start),
      screen.product(block, { start: 0, length: latents }, { rows8, pre }),
      call(
        memory,
        'upperScores',
        pre,
        length,
        latents,
        rowScale,
        ...encoder,
        probes,
        scratchAt(block, 'topk'),
      ),
    ]
    return { steps, bias: 0 }
  }
  const x = { offset: rows, rows: chunkRows, columns: dIn }
  const w = { offset: at.wEnc, rows: latents, columns: dIn }
  if (rescored && !normed) return { steps: [products.affine(memory, x, w, at.bEnc, pre)], bias: 0 }
  const steps: Step[] = [products.timesTransposed(memory, x, w, pre)]
  if (normed) steps.push(call(memory, 'scoreRows', pre, length, latents, at.bEnc, at.norms))
  return { steps, bias: normed ? 0 : at.bEnc }
}

/** The rows of a chunk as the eight-bit product reads them. */
function quantiseStep(block: Block, start: number): Step {
  const { at, memory, dIn } = block
  const [rows8, rowScale] = [scratchAt(block, 'rows8'), scratchAt(block, 'rowScale')]
  return call(memory, 'quantiseRowsU8', at.xc + start * dIn * 4, chunkRows, dIn, rows8, rowScale)
}

/** TopK by the screen: candidates product by product, then exact scores of those that may be among the k. */
function screenedSteps(
  block: Block,
  options: { piece: Piece; k: number; normed: boolean; screen: Screen; kept: number[]; need: number },
): Step[] {
  const { piece, k, normed, screen, kept, need } = options
  const { at, memory, latents, dIn } = block
  const [pre, rows8, rowScale] = [
    scratchAt(block, 'pre'),
    scratchAt(block, 'rows8'),
    scratchAt(block, 'rowScale'),
  ]
  const [state, topk] = [scratchAt(block, 'candidates'), scratchAt(block, 'topk')]
  const { probes, segments, rank, keep, cap } = gathering(k, latents, screen.perK)
  const x = at.xc + piece.start * dIn * 4
  const steps = [quantiseStep(block, piece.start)]
  for (const part of screen.piecesOf(latents)) {
    const { start, length } = part
    const rows = [pre, piece.length, length, start, rowScale, ...encoderOf(block, x, normed, start)]
    steps.push(
      screen.product(block, part, { rows8, pre }),
      call(memory, 'gatherCandidates', ...rows, probes, segments, rank, keep, cap, state, topk),
    )
  }
  const all = [piece.length, latents, ...encoderOf(block, x, normed), k, cap, spareRows, state]
  steps.push(call(memory, 'settleCandidates', ...all, ...kept, need, topk))
  return steps
}

function chosenPieces({ batchSize, chunks }: EncodeOptions): [number, Piece][] {
  const all = pieces(batchSize, chunkRows).map((piece, c): [number, Piece] => [c, piece])
  return chunks === undefined ? all : chunks.map(c => all[c])
}

/** A row's k largest of the block, as fixed spans. */
export function topkTasks(block: Block, k: number, options: EncodeOptions): Task[] {
  const { normed, dead, rescored, screen } = options
  const { at, memory, latents, dIn } = block
  const [pre, topk] = [scratchAt(block, 'pre'), scratchAt(block, 'topk')]
  return chosenPieces(options).map(([c, piece]): Task => {
    const { start, length } = piece
    const hit = start * k * 4
    const kept = [at.index + hit, at.value + hit]
    if (screen !== undefined) {
      const steps = screenedSteps(block, { piece, k, normed, screen, kept, need: at.need + c * 4 })
      return dead === undefined ? steps : [...steps, ...deadSteps(block, piece, 0, options)]
    }
    const { steps, bias } = scoreSteps(block, piece, options)
    if (rescored) {
      // Twice k candidates more than make up for the product's rounding.
      const encoder = encoderOf(block, at.xc + start * dIn * 4, normed)
      const counts = [k, rescoredCount(k, latents)]
      steps.push(call(memory, 'rescoreRows', pre, length, latents, ...encoder, ...counts, ...kept, topk))
    } else steps.push(call(memory, 'topkRows', pre, latents, length, latents, bias, k, 1, ...kept, topk))
    if (dead !== undefined) steps.push(...deadSteps(block, piece, bias, options))
    return steps
  })
}

/** All above the block's limits; with AuxK the dead latents' largest as well. */
export function collectTasks(block: Block, options: EncodeOptions): Task[] {
  const { normed, dead, rescored } = options
  const { at, memory, latents, chunkHits, dIn } = block
  const pre = scratchAt(block, 'pre')
  return chosenPieces(options).map(([c, piece]): Task => {
    const { start, length } = piece
    const { steps, bias } = scoreSteps(block, piece, options)
    const spans = [at.from + start * 4, at.to + start * 4]
    const room = [c * chunkHits, (c + 1) * chunkHits]
    const hits = [at.index, at.pre, at.row, ...spans, at.need + c * 4]
    const line = [pre, latents, length, latents, bias === 0 ? at.zeros : bias]
    steps.push(call(memory, 'collectAbove', ...line, at.limit, start, ...room, ...hits))
    if (rescored) {
      const x = at.xc + start * dIn * 4
      const factor = normed ? at.norms : 0
      steps.push(
        call(memory, 'dotSpans', x, at.index, ...spans, length, at.wEnc, dIn, at.grad),
        call(
          memory,
          'settleSpans',
          ...[at.index, at.pre, at.grad, ...spans, length],
          ...[at.bEnc, factor, at.above + c * 4],
        ),
      )
    }
    if (dead !== undefined) steps.push(...deadSteps(block, piece, normed ? 0 : bias, options))
    return steps
  })
}

/**
 * AuxK's scores of the dead latents side by side, and a row's largest. They are read from the main float32 product if
 * there is one, otherwise computed by a product of their own with the compact matrix of dead encoder rows.
 */
function deadSteps(block: Block, piece: Piece, bias: number, options: EncodeOptions): Step[] {
  const { products, rescored } = options
  const { dead, kAux, relu } = options.dead!
  if (dead === 0) return []
  const { start, length } = piece
  const { at, memory, latents, dIn } = block
  const aux = at.aux!
  const [pre, gathered, topk] = [scratchAt(block, 'pre'), scratchAt(block, 'dead'), scratchAt(block, 'topk')]
  const hit = start * kAux * 4
  const kept = [aux.index + hit, aux.value + hit]
  const x = { offset: at.xc + start * dIn * 4, rows: chunkRows, columns: dIn }
  const w = { offset: at.gEnc, rows: dead, columns: dIn }
  const scores = rescored
    ? [
        products.timesTransposed(memory, x, w, gathered),
        call(memory, 'scoreRows', gathered, length, dead, aux.deadBias, aux.deadNorms),
      ]
    : [call(memory, 'gatherColumns', pre, latents, length, bias, aux.deadColumns, dead, gathered)]
  return [
    ...scores,
    call(memory, 'topkRows', gathered, dead, length, dead, 0, kAux, relu ? 1 : 0, ...kept, topk),
  ]
}

export const isNormed = ({ selection }: Plan) =>
  (selection.kind === 'topk' || selection.kind === 'batchtopk') && selection.score === 'normed'

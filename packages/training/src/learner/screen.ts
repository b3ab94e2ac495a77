// Screened encode: where a plan keeps k of many latents, an eight-bit product bounds all scores in well under half the time
// of the float32 product, and only the latents with the highest bounds get exact scores.
// Weights have seven bits: a sum of two products then fits the sixteen bits of processors without VNNI. Chunks that the bounds do
// not settle are re-encoded with the float32 product, and since scores are computed one by one either way, a step has the
// same bits whichever product chose the candidates (docs/adr/0008).
import { type Arg, createGraph, type SessionStep, type Task, type WorkerPool } from '@mistudio/tensor'
import type { Block } from './block.ts'
import { call, chunkRows, type Piece, pieces, rangeLatents } from './pieces.ts'
import { mostPerK, screenLatents } from './scoring.ts'

const weightBits = 7

/** After a step that re-encoded more than this share of its chunks, the screen rests for this many steps. */
const worthwhile = 0.25
const restSteps = 50

/** Rows of a chunk that may get exact scores of all latents before the float32 product is cheaper. */
export const spareRows = 4

/**
 * Candidates of a row, in multiples of k. About 1.5k normal scores are within the margin; a model's activations have rows
 * with more, so every step that leaves a chunk unsettled raises the number by half.
 */
const firstPerK = 5

export type Screen = {
  /** A piece of a block's latents: one product each. */
  piecesOf(latents: number): Piece[]
  /** y [rows, latents of the piece] = rows · weights, both eight-bit, times each latent's scale. */
  product(block: Block, piece: Piece, places: { rows8: Arg; pre: Arg }): SessionStep
  /** Converts the encoder for the product; call after every change of the weights. */
  quantise(block: Block): Task[]
  /** Candidates of a row that TopK gathers, in k. */
  readonly perK: number
  /** Whether a step begins with the screen. */
  active(): boolean
  /** Chunks that were re-encoded, of how many: a screen that settles too few rests. */
  note(again: number, of: number): void
  /** Of all steps so far. */
  readonly counts: { chunks: number; again: number }
  close(): Promise<void>
}

/** Where a piece's weights [dIn, length] and scales are. */
const placesOf = ({ screen }: Block['at'], { start }: Pick<Piece, 'start'>, dIn: number) => ({
  weights: screen!.weights + start * dIn,
  scale: screen!.scale + start * 4,
})

/** @param whole all of a block's latents in one product, for readers of whole rows of scores */
export async function createScreen(pool: WorkerPool, { whole }: { whole: boolean }): Promise<Screen> {
  const g = createGraph()
  const a = g.input('a', 'uint8', ['R', 'D'])
  const b = g.input('b', 'int8', ['D', 'M'])
  const scale = g.input('scale', 'float32', ['M'])
  const one = g.constant(Float32Array.of(1), [])
  const zero = g.constant(Uint8Array.of(128), [])
  g.node('MatMulIntegerToFloat', [a, b, one, scale, zero], {}, { outputs: ['y'], domain: 'com.microsoft' })
  g.output('y', 'float32', ['R', 'M'])
  const session = await pool.session({ graph: g.bytes() })
  let rest = 0
  let perK = firstPerK
  const counts = { chunks: 0, again: 0 }
  const piecesOf = (latents: number) => pieces(latents, whole ? latents : screenLatents)
  return {
    counts,
    piecesOf,
    get perK() {
      return perK
    },
    product({ memory: { id: memory }, at, dIn }, { start, length }, { rows8, pre }) {
      const { weights, scale: scales } = placesOf(at, { start }, dIn)
      return {
        session,
        inputs: {
          a: { memory, offset: rows8, dtype: 'uint8', shape: [chunkRows, dIn] },
          b: { memory, offset: weights, dtype: 'int8', shape: [dIn, length] },
          scale: { memory, offset: scales, dtype: 'float32', shape: [length] },
        },
        outputs: { y: { memory, offset: pre, dtype: 'float32', shape: [chunkRows, length] } },
      }
    },
    quantise({ memory, at, latents, dIn }) {
      return piecesOf(latents).flatMap(piece =>
        pieces(piece.length, rangeLatents).map(({ start, length }): Task => {
          const range = [start, start + length, piece.length, dIn]
          const { weights, scale } = placesOf(at, piece, dIn)
          const from = at.wEnc + piece.start * dIn * 4
          return [call(memory, 'quantiseTransposeI8', from, ...range, weightBits, weights, scale)]
        }),
      )
    },
    active: () => rest === 0 || --rest === 0,
    note(again, of) {
      counts.chunks += of
      counts.again += again
      if (again > 0) perK = Math.min(mostPerK, perK * 1.5)
      if (again > worthwhile * of) rest = restSteps
    },
    close: () => pool.closeSession(session),
  }
}

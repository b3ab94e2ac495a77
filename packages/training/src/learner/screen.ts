// Screened encode: where a plan keeps k of many latents, an eight-bit product bounds all scores in well under half the time
// of the float32 product, and only the latents with the highest bounds get exact scores (DESIGN: Cutting the work).
// Weights have seven bits: a sum of two products then fits the sixteen bits of processors without VNNI. What the bounds do
// not settle is encoded again by the float32 product, and since scores are computed one by one either way, a step has the
// same bits whichever product chose the candidates (docs/adr/0008).
import { type Arg, createGraph, type SessionStep, type Task, type WorkerPool } from '@mistudio/tensor'
import type { Block } from './block.ts'
import { call, chunkRows, type Piece, pieces, rangeLatents } from './pieces.ts'
import { mostPerK, screenLatents } from './scoring.ts'

const weightBits = 7

/** After a step in which more than this share of the chunks had to be encoded again, so many steps go without. */
const worthwhile = 0.25
const restSteps = 50

/** Rows of a chunk that may have exact scores of all latents, before the float32 product is the cheaper way. */
export const spareRows = 4

/**
 * Candidates of a row, in k. Of normal scores about 1.5k are within the margin; activations of a model have rows in which more are, so
 * every step that leaves a chunk unsettled asks for half as many again.
 */
const firstPerK = 5

export type Screen = {
  /** What a block's latents are cut into: one product each. */
  piecesOf(latents: number): Piece[]
  /** y [rows, latents of the piece] = rows · weights, both of eight bits, times the scale of each latent. */
  product(block: Block, piece: Piece, places: { rows8: Arg; pre: Arg }): SessionStep
  /** The encoder as the product reads it; after every change of the weights. */
  quantise(block: Block): Task[]
  /** Candidates of a row that TopK gathers, in k. */
  readonly perK: number
  /** Does a step begin with the screen? */
  active(): boolean
  /** Chunks that had to be encoded again, of how many: a screen that settles too little rests. */
  note(again: number, of: number): void
  /** Of all steps so far. */
  readonly counts: { chunks: number; again: number }
  close(): Promise<void>
}

/** Where a piece's weights [dIn, length] and scales lie. */
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

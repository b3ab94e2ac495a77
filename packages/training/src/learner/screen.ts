// Screened encode: where a plan keeps k of many latents, an eight-bit product bounds all scores in well under half the time
// of the float32 product, and only the latents with the highest bounds get exact scores (DESIGN: Cutting the work).
// Weights have seven bits: a sum of two products then fits the sixteen bits of processors without VNNI. What the bounds do
// not settle is encoded again by the float32 product, and since scores are computed one by one either way, a step has the
// same bits whichever product chose the candidates (docs/adr/0008).
import { type Arg, createGraph, type Lanes, type SessionStep, type Task } from '@mistudio/tensor'
import type { Scoring } from '../learner.ts'
import type { Plan } from '../plan.ts'
import type { Block } from './block.ts'
import { call, chunkRows, type Piece, pieces, rangeLatents } from './pieces.ts'

const weightBits = 7

/** Fewer latents than this, or more of them kept, and the float32 product is as fast: bench/step.ts. */
const leastLatents = 2048
const leastLatentsPerK = 64

/** After a step in which more than this share of the chunks had to be encoded again, so many steps go without. */
const worthwhile = 0.25
const restSteps = 50

export function defaultScoring({ selection, groups }: Plan): Scoring {
  if (selection.kind !== 'topk' && selection.kind !== 'batchtopk') return 'product'
  const k = selection.mostK ?? selection.k
  const least = Math.max(leastLatents, leastLatentsPerK * k)
  return groups.every(({ latents: [lo, hi] }) => hi - lo >= least) ? 'screened' : 'product'
}

/** Latents of a row on which the error of its scores is measured. */
export const probes = 16

/** Candidates of a row from which its k are taken where the float32 product chooses. */
export const rescoredCount = (k: number, latents: number) => Math.min(latents, Math.max(2 * k, k + 16))

/** Rows of a chunk that may have exact scores of all latents, before the float32 product is the cheaper way. */
export const spareRows = 4

/** Latents of one product: its scores are read while they are in the cache. */
const screenLatents = 2048

/** How TopK's candidates are gathered: see `gatherCandidates` in @mistudio/tensor's assembly/candidates.ts. */
export type Gathering = {
  /** Of one piece. */
  probes: number
  stretches: number
  rank: number
  keep: number
  cap: number
}

/**
 * Candidates of a row, in k. Of normal scores about 1.5k are within the margin; activations of a model have rows in which more are, so
 * every step that leaves a chunk unsettled asks for half as many again.
 */
const firstPerK = 5
const mostPerK = 16
/** More than this only where 6k is more. */
const mostCandidates = 1024

/**
 * The first piece's share of the candidates, at least `leastSample`, decides the floor: of g groups of scores,
 * g·(1 − exp(−share/g)) have their maxima among the highest `share`.
 * @param perK candidates of a row, in k; as many as there will ever be where not given
 */
export function gathering(k: number, latents: number, perK = mostPerK): Gathering {
  const length = Math.min(latents, screenLatents)
  const wanted = Math.min(perK * k, Math.max(6 * k, mostCandidates))
  const share = Math.min(length, Math.max(leastSample, Math.ceil((wanted * length) / latents)))
  const stretches = Math.ceil(share / 0.7 / 32)
  const groups = 32 * stretches
  const keep = Math.min(latents, Math.max(k, Math.ceil((share * latents) / length)))
  return {
    probes: Math.ceil((probes * length) / latents / 4) * 4,
    stretches,
    rank: Math.max(1, Math.round(groups * (1 - Math.exp(-share / groups)))),
    keep,
    cap: Math.min(latents, 2 * keep),
  }
}
const leastSample = 32

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
export async function createScreen(lanes: Lanes, { whole }: { whole: boolean }): Promise<Screen> {
  const g = createGraph()
  const a = g.input('a', 'uint8', ['R', 'D'])
  const b = g.input('b', 'int8', ['D', 'M'])
  const scale = g.input('scale', 'float32', ['M'])
  const one = g.constant(Float32Array.of(1), [])
  const zero = g.constant(Uint8Array.of(128), [])
  g.node('MatMulIntegerToFloat', [a, b, one, scale, zero], {}, { outputs: ['y'], domain: 'com.microsoft' })
  g.output('y', 'float32', ['R', 'M'])
  const session = await lanes.session({ graph: g.bytes() })
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
    close: () => lanes.closeSession(session),
  }
}

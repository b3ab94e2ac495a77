// Screened encode: where a plan keeps k of many latents, an eight-bit product bounds all scores in well under half the time
// of the float32 product, and only the latents with the highest bounds get exact scores (DESIGN: Cutting the work).
// Weights have seven bits: a sum of two products then fits the sixteen bits of processors without VNNI. What the bounds do
// not settle is encoded again by the float32 product, and since scores are computed one by one either way, a step has the
// same bits whichever product chose the candidates (docs/adr/0008).
import { type Arg, createGraph, type Lanes, type SessionStep, type Task } from '@mistudio/tensor'
import type { Scoring } from '../learner.ts'
import type { Plan } from '../plan.ts'
import type { Block } from './block.ts'
import { call, chunkRows, pieces, rangeLatents } from './pieces.ts'

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

/** Candidates of a row from which its k are taken, and how many where those do not settle it. */
export const candidateCounts = (k: number, latents: number) => ({
  first: Math.min(latents, Math.max(2 * k, k + 16)),
  wide: Math.min(latents, Math.max(6 * k, k + 64)),
})

export type Screen = {
  /** y [rows, latents] = rows · weights, both of eight bits, times the scale of each latent. */
  product(block: Block, places: { rows8: Arg; pre: Arg }): SessionStep
  /** The encoder as the product reads it; after every change of the weights. */
  quantise(block: Block): Task[]
  /** Does a step begin with the screen? */
  active(): boolean
  /** Chunks that had to be encoded again, of how many: a screen that settles too little rests. */
  note(again: number, of: number): void
  /** Of all steps so far. */
  readonly counts: { chunks: number; again: number }
  close(): Promise<void>
}

export async function createScreen(lanes: Lanes): Promise<Screen> {
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
  const counts = { chunks: 0, again: 0 }
  return {
    counts,
    product({ memory: { id: memory }, at, latents, dIn }, { rows8, pre }) {
      const { weights, scale: scales } = at.screen!
      return {
        session,
        inputs: {
          a: { memory, offset: rows8, dtype: 'uint8', shape: [chunkRows, dIn] },
          b: { memory, offset: weights, dtype: 'int8', shape: [dIn, latents] },
          scale: { memory, offset: scales, dtype: 'float32', shape: [latents] },
        },
        outputs: { y: { memory, offset: pre, dtype: 'float32', shape: [chunkRows, latents] } },
      }
    },
    quantise({ memory, at, latents, dIn }) {
      const { weights, scale: scales } = at.screen!
      return pieces(latents, rangeLatents).map(({ start, length }): Task => {
        const range = [start, start + length, latents, dIn]
        return [call(memory, 'quantiseTransposeI8', at.wEnc, ...range, weightBits, weights, scales)]
      })
    },
    active: () => rest === 0 || --rest === 0,
    note(again, of) {
      counts.chunks += of
      counts.again += again
      if (again > worthwhile * of) rest = restSteps
    },
    close: () => lanes.closeSession(session),
  }
}

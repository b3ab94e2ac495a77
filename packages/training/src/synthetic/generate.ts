// Activations of a ground truth, context by context: a sparse sum over the directions that fire, so the cost of a token
// is its L0 times the width, not the number of directions. A context is a function of (seed, stream, position) alone.
import { gaussianStream, randomStream } from '@mistudio/tensor'
import type { GroundTruth } from './ground_truth.ts'

/** Contexts of training and of held-out data are different draws of the same ground truth. */
export type Stream = 'train' | 'held out'

export type ContextGenerator = (options: {
  position: number
  /** float32 [tokens, d_in], overwritten. */
  out: Float32Array
  /** Called with what fires at a token of this context, and how strongly. */
  onFiring?: (token: number, direction: number, magnitude: number) => void
}) => void

/** A direction that fires does so with magnitude 1 + 0.25·|N(0, 1)|. */
const spreadOfMagnitudes = 0.25

export function createGenerator(options: {
  truth: GroundTruth
  seed: number
  stream: Stream
}): ContextGenerator {
  const { truth, seed, stream } = options
  const { dIn, units, noise } = truth
  const count = units.length
  // float64 sums: twice as fast as float32 ones, which V8 widens and narrows at every addition.
  const rows = Float64Array.from(truth.rows)
  const sum = new Float64Array(dIn)
  const probability = Float64Array.from(units, unit => unit.probability)
  // log(1 − p): a skip of geometric length is log(u) / log(1 − p).
  const logMiss = probability.map(p => Math.log1p(-p))

  return ({ position, out, onFiring }) => {
    const draw = randomStream({ seed, purpose: `${stream} context ${position}` })
    const normal = gaussianStream({ seed, purpose: `${stream} magnitudes ${position}` })
    for (let from = 0; from < out.length; from += dIn) {
      // Skips from one unit that may fire to the next at the probability of the last, which is no lower, and then keeps
      // the unit with the ratio of both (Miller and Hagberg 2011, for graphs): exact, with as many draws as units that fire.
      sum.fill(0)
      let bound = 0
      for (let u = 0; u < count; u++) {
        if (probability[bound] < 1) u += Math.floor(Math.log(1 - draw()) / logMiss[bound])
        if (u >= count) break
        const keep = probability[u] / probability[bound]
        bound = u
        if (keep < 1 && draw() >= keep) continue
        for (const { direction, probability: p } of units[u].members) {
          if (p < 1 && draw() >= p) continue
          const magnitude = 1 + spreadOfMagnitudes * Math.abs(normal())
          onFiring?.(from / dIn, direction, magnitude)
          addRow(sum, rows, direction * dIn, magnitude)
        }
      }
      if (noise > 0) for (let j = 0; j < dIn; j++) sum[j] += noise * normal()
      out.set(sum, from)
    }
  }
}

/** sum += factor · rows[at …], four at a time. */
function addRow(sum: Float64Array, rows: Float64Array, at: number, factor: number): void {
  const n = sum.length
  let j = 0
  for (; j + 4 <= n; j += 4) {
    sum[j] += factor * rows[at + j]
    sum[j + 1] += factor * rows[at + j + 1]
    sum[j + 2] += factor * rows[at + j + 2]
    sum[j + 3] += factor * rows[at + j + 3]
  }
  for (; j < n; j++) sum[j] += factor * rows[at + j]
}

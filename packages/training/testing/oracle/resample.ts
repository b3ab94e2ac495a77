// Resampling of dead latents (Bricken et al. 2023, "Towards Monosemanticity"): a new start from rows that the SAE
// reconstructs badly. Which rows are drawn is written out in learner.ts, so that every learner draws the same.

import { randomStream } from '@mistudio/tensor'
import type { Plan } from '../../src/plan.ts'
import { type LatentRow, latentRows, type OracleWeights } from './weights.ts'

/** Changes the weights of dead latents in place. @returns the latents restarted, ascending */
export function resampleLatents(options: {
  plan: Plan
  weights: OracleWeights
  dead: Uint8Array
  x: Float64Array
  y: Float64Array
  /** x̂ − y [B, d_out]. */
  error: Float64Array
  seed: number
}): number[] {
  const { plan, weights, dead, x, y, error, seed } = options
  const { dIn, dOut } = plan.shape
  const rows = latentRows(plan)
  const encoderNorm = 0.2 * meanEncoderNorm(rows, weights.wEnc, dead)
  const draw = randomStream({ seed, purpose: 'resample' })
  const weight = Float64Array.from({ length: y.length / dOut }, (_, r) =>
    error.slice(r * dOut, (r + 1) * dOut).reduce((sum, value) => sum + value * value, 0),
  )
  const renewed: number[] = []
  dead.forEach((flag, i) => {
    const r = flag === 1 ? drawRow(weight, draw) : undefined
    if (r === undefined) return
    weight[r] = 0
    renewed.push(i)
    const { enc, input, dec, output } = rows[i]
    const target = unit(y.slice(r * dOut + output[0], r * dOut + output[1]), weights.bDec.slice(...output))
    weights.wDec.set(target, dec)
    const direction =
      x === y ? target : unit(x.slice(r * dIn + input[0], r * dIn + input[1]), new Float64Array(dIn))
    weights.wEnc.set(
      direction.map(value => value * encoderNorm),
      enc,
    )
    weights.bEnc[i] = 0
    if (weights.rMag !== undefined) weights.rMag[i] = 0
    if (weights.bMag !== undefined) weights.bMag[i] = 0
  })
  return renewed
}

/** The first row whose running sum exceeds u times the total; undefined when no row is left. */
function drawRow(weight: Float64Array, draw: () => number): number | undefined {
  const total = weight.reduce((sum, value) => sum + value, 0)
  if (!(total > 0)) return undefined
  const wanted = draw() * total
  let running = 0
  let last: number | undefined
  for (let r = 0; r < weight.length; r++) {
    if (weight[r] === 0) continue
    running += weight[r]
    last = r
    if (running > wanted) return r
  }
  return last
}

/** Mean ‖e_i‖ of the alive latents; of all if none is alive. */
function meanEncoderNorm(rows: LatentRow[], wEnc: Float64Array, dead: Uint8Array): number {
  const norms = rows.map(({ enc, input }) => Math.hypot(...wEnc.subarray(enc, enc + input[1] - input[0])))
  const alive = norms.filter((_, i) => dead[i] === 0)
  const of = alive.length > 0 ? alive : norms
  return of.reduce((sum, norm) => sum + norm, 0) / of.length
}

function unit(row: Float64Array, centre: Float64Array): Float64Array {
  const offset = row.map((value, j) => value - centre[j])
  const norm = Math.sqrt(offset.reduce((sum, value) => sum + value * value, 0))
  return norm === 0 ? offset : offset.map(value => value / norm)
}

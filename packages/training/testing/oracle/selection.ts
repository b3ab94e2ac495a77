// Which latents of which rows are on, and what they are worth: the five selections of a plan in float64.
import type { Dynamics, Plan, Selection } from '../../src/plan.ts'
import type { OracleWeights } from './weights.ts'

type Chosen = {
  plan: Plan
  dynamics: Dynamics
  pre: Float64Array
  norms: Float64Array
  weights: OracleWeights
}

/**
 * 1 where a latent may pass, [B, d_sae]: all for relu, the selected sets of topk and batchtopk, π > θ for jumprelu,
 * π > 0 for gated. NaN counts as selected, so that the loss shows it.
 */
export function openGates({ plan, dynamics, pre, norms, weights }: Chosen): Uint8Array {
  const { selection } = plan
  const { dSae } = plan.shape
  const open = new Uint8Array(pre.length)
  switch (selection.kind) {
    case 'relu':
      return open.fill(1)
    case 'jumprelu':
      return open.map((_, at) => Number(pre[at] > weights.threshold![at % dSae]))
    case 'gated':
      return open.map((_, at) => Number(pre[at] > 0))
    case 'topk': {
      const scores = scoresOf({ selection, pre, norms })
      const k = Math.floor(dynamics.k ?? selection.k)
      for (let from = 0; from < pre.length; from += dSae)
        openLargest({ scores, from, to: from + dSae, k, open })
      return open
    }
    case 'batchtopk': {
      const scores = scoresOf({ selection, pre, norms })
      const budget = Math.floor((dynamics.k ?? selection.k) * (pre.length / dSae))
      openLargest({ scores, from: 0, to: pre.length, k: budget, open })
      return open.map((gate, at) => Number(gate === 1 && !(scores[at] <= 0)))
    }
  }
}

/** What a selection sorts by: π, or π·n where it is normed. */
export function scoresOf(options: {
  selection: Selection
  pre: Float64Array
  norms: Float64Array
}): Float64Array {
  const { selection, pre, norms } = options
  const normed = (selection.kind === 'topk' || selection.kind === 'batchtopk') && selection.score === 'normed'
  return normed ? pre.map((value, at) => value * norms[at % norms.length]) : pre
}

/** Opens the k largest of scores[from, to); equal ones in ascending order. */
function openLargest(options: {
  scores: Float64Array
  from: number
  to: number
  k: number
  open: Uint8Array
}): void {
  const { scores, from, to, k, open } = options
  if (k <= 0) return
  const sorted = scores.slice(from, to).sort()
  const edge = sorted[Math.max(0, sorted.length - k)]
  let left = k
  for (let at = from; at < to; at++) {
    if (scores[at] <= edge) continue
    open[at] = 1
    left--
  }
  for (let at = from; at < to && left > 0; at++) {
    if (scores[at] !== edge) continue
    open[at] = 1
    left--
  }
}

/** The k candidates of one row with the largest scores, ascending; equal ones to the lower latent. */
export function largestOf(options: {
  scores: Float64Array
  row: number
  width: number
  candidates: Int32Array
  k: number
}): Int32Array {
  const { scores, row, width, candidates, k } = options
  const score = (i: number) => scores[row * width + i]
  return candidates
    .slice()
    .sort((a, b) => score(b) - score(a) || a - b)
    .slice(0, k)
    .sort()
}

/** f [B, d_sae] from z (without b_enc), π = z + b_enc and the open gates. */
export function activate(options: {
  selection: Selection
  z: Float64Array
  pre: Float64Array
  open: Uint8Array
  weights: OracleWeights
}): Float64Array {
  const { selection, z, pre, open, weights } = options
  const dSae = weights.bEnc.length
  switch (selection.kind) {
    case 'relu':
      return pre.map(value => Math.max(0, value))
    case 'topk':
    case 'batchtopk':
      return pre.map((value, at) => (open[at] === 1 ? Math.max(0, value) : 0))
    case 'jumprelu':
      return pre.map((value, at) => value * open[at])
    case 'gated':
      return z.map((value, at) => {
        const i = at % dSae
        return open[at] * Math.max(0, value * Math.exp(weights.rMag![i]) + weights.bMag![i])
      })
  }
}

// How latents that may be kept are scored, and how many candidates that takes: sizes, from the plan only. The
// computation is in screen.ts.
import type { Scoring } from '../learner.ts'
import type { Plan } from '../plan.ts'

/** With fewer latents, or more of them kept, the float32 product is as fast: bench/step.ts. */
const leastLatents = 2048
const leastLatentsPerK = 64

export function defaultScoring({ selection, groups }: Plan): Scoring {
  if (selection.kind !== 'topk' && selection.kind !== 'batchtopk') return 'product'
  const k = selection.mostK ?? selection.k
  const least = Math.max(leastLatents, leastLatentsPerK * k)
  return groups.every(({ latents: [lo, hi] }) => hi - lo >= least) ? 'screened' : 'product'
}

/** Latents of a row used to measure the error of its scores. */
export const probes = 16

/** Candidates of a row from which its k are taken if the float32 product chooses. */
export const rescoredCount = (k: number, latents: number) => Math.min(latents, Math.max(2 * k, k + 16))

/** Latents of one product: its scores are read while they are in the cache. */
export const screenLatents = 2048

/** How TopK's candidates are gathered: see `gatherCandidates` in @mistudio/tensor's assembly/candidates.ts. */
export type Gathering = {
  /** Of one piece. */
  probes: number
  segments: number
  rank: number
  keep: number
  cap: number
}

/** The most candidates of a row, in k. */
export const mostPerK = 16
/** More than this only where 6k is more. */
const mostCandidates = 1024

/**
 * The first piece's share of the candidates, at least `leastSample`, decides the floor: of g groups of scores,
 * g·(1 − exp(−share/g)) have their maxima among the highest `share`.
 * @param perK candidates of a row, in multiples of k; default the most there can be
 */
export function gathering(k: number, latents: number, perK = mostPerK): Gathering {
  const length = Math.min(latents, screenLatents)
  const wanted = Math.min(perK * k, Math.max(6 * k, mostCandidates))
  const share = Math.min(length, Math.max(leastSample, Math.ceil((wanted * length) / latents)))
  const segments = Math.ceil(share / 0.7 / 32)
  const groups = 32 * segments
  const keep = Math.min(latents, Math.max(k, Math.ceil((share * latents) / length)))
  return {
    probes: Math.ceil((probes * length) / latents / 4) * 4,
    segments,
    rank: Math.max(1, Math.round(groups * (1 - Math.exp(-share / groups)))),
    keep,
    cap: Math.min(latents, 2 * keep),
  }
}
const leastSample = 32

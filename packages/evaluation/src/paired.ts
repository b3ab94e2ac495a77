// Two SAEs on the same documents: the 95 % interval of the difference between two token means. Documents are resampled,
// since the tokens of one are not independent.
import { randomStream } from '@mistudio/tensor'

/** Per document: tokens counted and the sum over them. */
export type DocumentSums = ReadonlyMap<string, { tokens: number; delta: number }>

export type PairedInterval = { mean: number; low: number; high: number; documents: number }

/** Draws of the bootstrap. */
const draws = 2000

/** a − b per token over the documents of `a` that have tokens; bootstrap percentiles, deterministic. */
export function pairedInterval(a: DocumentSums, b: DocumentSums): PairedInterval {
  const pairs = [...a]
    .filter(([, { tokens }]) => tokens > 0)
    .map(([key, { tokens, delta }]) => ({ tokens, difference: delta - b.get(key)!.delta }))
  const meanOf = (chosen: typeof pairs) =>
    chosen.reduce((sum, { difference }) => sum + difference, 0) /
    chosen.reduce((sum, { tokens }) => sum + tokens, 0)
  const draw = randomStream({ seed: 0, purpose: 'bootstrap' })
  const means = Array.from({ length: draws }, () =>
    meanOf(pairs.map(() => pairs[Math.floor(draw() * pairs.length)])),
  ).sort((x, y) => x - y)
  const at = (share: number) => means[Math.round(share * draws)]
  return { mean: meanOf(pairs), low: at(0.025), high: at(0.975 - 1 / draws), documents: pairs.length }
}

// The 95 % interval of the difference of two token means over the same documents: documents are resampled, since
// the tokens of one are not independent.
import { randomStream } from '@mistudio/sae'

type Losses = ReadonlyMap<string, { tokens: number; delta: number }>

export function pairedInterval(
  a: Losses,
  b: Losses,
): { mean: number; low: number; high: number; documents: number } {
  const pairs = [...a]
    .filter(([, { tokens }]) => tokens > 0)
    .map(([key, { tokens, delta }]) => ({ tokens, difference: delta - b.get(key)!.delta }))
  const meanOf = (chosen: typeof pairs) =>
    chosen.reduce((sum, { difference }) => sum + difference, 0) /
    chosen.reduce((sum, { tokens }) => sum + tokens, 0)
  const draw = randomStream({ seed: 0, purpose: 'bootstrap' })
  const means = Array.from({ length: 2000 }, () =>
    meanOf(pairs.map(() => pairs[Math.floor(draw() * pairs.length)])),
  ).sort((x, y) => x - y)
  return { mean: meanOf(pairs), low: means[50], high: means[1949], documents: pairs.length }
}

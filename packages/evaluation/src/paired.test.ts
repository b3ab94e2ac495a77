import { randomStream } from '@mistudio/tensor'
import { expect, test } from 'vitest'
import { pairedInterval } from './paired.ts'

/** Documents of unequal difficulty and length; `shift` is added to every token's loss. */
function documents(shift: number, noise: number, seed: number) {
  const base = randomStream({ seed: 1, purpose: 'documents' })
  const own = randomStream({ seed, purpose: 'noise' })
  return new Map(
    Array.from({ length: 60 }, (_, i) => {
      const tokens = 10 + Math.floor(100 * base())
      const mean = 5 * base() + shift + noise * (own() - 0.5)
      return [`document ${i}`, { tokens, delta: tokens * mean }] as const
    }),
  )
}

test('a small difference is seen although documents differ much more', () => {
  const {
    mean,
    low,
    high,
    documents: counted,
  } = pairedInterval(documents(0.02, 0.05, 2), documents(0, 0.05, 3))
  expect(counted).toBe(60)
  expect(mean).toBeCloseTo(0.02, 1)
  expect(low).toBeGreaterThan(0)
  expect(high).toBeLessThan(0.05)
})

test('an SAE does not differ from itself, and the interval turns with the order', () => {
  const [a, b] = [documents(0.1, 0.3, 2), documents(0, 0.3, 3)]
  expect(pairedInterval(a, a)).toEqual({ mean: 0, low: 0, high: 0, documents: 60 })
  const [one, other] = [pairedInterval(a, b), pairedInterval(b, a)]
  expect(other.mean).toBeCloseTo(-one.mean, 12)
  expect(other.low).toBeCloseTo(-one.high, 2)
})

test('documents without scored tokens do not count', () => {
  const a = new Map([...documents(0, 0, 2), ['empty', { tokens: 0, delta: 0 }]])
  expect(pairedInterval(a, a).documents).toBe(60)
})

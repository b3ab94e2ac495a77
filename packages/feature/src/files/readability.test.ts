import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readability } from './readability.ts'

const twenty = (text: (i: number) => string) => Array.from({ length: 20 }, (_, i) => text(i))
const best = {
  peakTokens: twenty(i => (i % 2 === 0 ? ' The' : 'the ')),
  documents: twenty(String),
  capacity: 20,
  density: 1e-3,
}

test('one token in twenty documents scores 1, and each part lowers it', () => {
  expect(readability(best)).toBe(1)
  expect(readability({ ...best, peakTokens: twenty(String) })).toBeCloseTo(0.1)
  expect(readability({ ...best, documents: twenty(() => 'same') })).toBeCloseTo(0.05)
  expect(readability({ ...best, peakTokens: twenty(() => ' ,') })).toBeCloseTo(0.5)
  expect(readability({ ...best, capacity: 40 })).toBeCloseTo(0.5)
  expect(readability({ ...best, density: 10 ** -1.5 })).toBeCloseTo(0.5)
  expect(readability({ ...best, density: 10 ** -4.5 })).toBeCloseTo(0.5)
  expect(readability({ ...best, density: 0.5 })).toBe(0)
})

test('no examples or no tokens score 0', () => {
  expect(readability({ peakTokens: [], documents: [], capacity: 20, density: 1e-3 })).toBe(0)
  expect(readability({ ...best, density: null })).toBe(0)
})

test('always from 0 to 1', () => {
  const example = fc.tuple(fc.constantFrom('a', 'B', ' b', ''), fc.constantFrom('x', 'y'))
  fc.assert(
    fc.property(
      fc.array(example, { maxLength: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (examples, density) => {
        const peakTokens = examples.map(([token]) => token)
        const documents = examples.map(([, document]) => document)
        const score = readability({ peakTokens, documents, capacity: 20, density })
        expect(score >= 0 && score <= 1).toBe(true)
      },
    ),
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contextOrder, permutation } from './order.ts'

const all = ({ length, at }: { length: number; at(i: number): number }) =>
  Array.from({ length }, (_, i) => at(i))
const seeds = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

test('a permutation meets every number once, for any length and seed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3000 }), seeds, fc.string(), (length, seed, purpose) => {
      const met = new Set(all(permutation({ length, seed, purpose })))
      expect(met.size).toBe(length)
      for (const value of met) expect(value >= 0 && value < length && Number.isInteger(value)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('every length from 1 to 300 is permuted', () => {
  for (let length = 1; length <= 300; length++) {
    const sorted = all(permutation({ length, seed: 3, purpose: 'x' })).sort((a, b) => a - b)
    expect(sorted).toEqual(Array.from({ length }, (_, i) => i))
  }
})

test('lengths beyond 32 bits stay in range and apart', () => {
  for (const length of [2 ** 32 + 1, 2 ** 45 - 3, 2 ** 52]) {
    const { at } = permutation({ length, seed: 1, purpose: 'x' })
    const met = new Set<number>()
    for (let i = 0; i < 2000; i++) met.add(at(i))
    for (let i = length - 2000; i < length; i++) met.add(at(i))
    expect(met.size).toBe(4000)
    for (const value of met) expect(Number.isSafeInteger(value) && value >= 0 && value < length).toBe(true)
  }
})

test('the order is pinned: a resumed run meets the same contexts', () => {
  expect(all(permutation({ length: 12, seed: 7, purpose: 'pinned' }))).toMatchInlineSnapshot(`
    [
      5,
      8,
      1,
      6,
      2,
      7,
      9,
      10,
      4,
      0,
      11,
      3,
    ]
  `)
})

test('seed, purpose and epoch each give another order; asking twice gives the same', () => {
  const base = { length: 500, seed: 1, purpose: 'x' }
  const one = all(permutation(base))
  expect(all(permutation(base))).toEqual(one)
  for (const other of [{ seed: 2 }, { purpose: 'y' }])
    expect(all(permutation({ ...base, ...other }))).not.toEqual(one)
  const epoch = (n: number) => {
    const order = contextOrder({ counts: [500], seed: 1, epoch: n })
    return Array.from({ length: 500 }, (_, i) => order.at(i).context)
  }
  expect(epoch(0)).toEqual(epoch(0))
  expect(epoch(0)).not.toEqual(epoch(1))
})

// Chi-square of the cells (position, value) over many seeds against equal shares: (n − 1)² degrees of freedom,
// refused beyond six deviations.
test.each([2, 3, 5, 8, 11])('every value is as likely at every position, length %d', length => {
  const runs = 4000
  const cells = new Float64Array(length * length)
  for (let seed = 0; seed < runs; seed++) {
    const { at } = permutation({ length, seed, purpose: 'fair' })
    for (let i = 0; i < length; i++) cells[i * length + at(i)]++
  }
  const expected = runs / length
  const chi = cells.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
  const freedom = (length - 1) ** 2
  expect(chi).toBeLessThan(freedom + 6 * Math.sqrt(2 * freedom))
})

test('neighbours are scattered: no rank correlation of position and value, or of neighbouring values', () => {
  const length = 10_000
  const values = all(permutation({ length, seed: 5, purpose: 'x' }))
  const mean = (length - 1) / 2
  const variance = (length ** 2 - 1) / 12
  const correlation = (a: (i: number) => number) => {
    let sum = 0
    for (let i = 1; i < length; i++) sum += (a(i) - mean) * (values[i] - mean)
    return sum / length / variance
  }
  // A deviation is 1/√length = 0.01.
  expect(Math.abs(correlation(i => i))).toBeLessThan(0.05)
  expect(Math.abs(correlation(i => values[i - 1]))).toBeLessThan(0.05)
})

test('contexts of all stores come once each, with the store they lie in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 6 }), seeds, (counts, seed) => {
      const order = contextOrder({ counts, seed, epoch: 2 })
      const met = new Set<string>()
      for (let i = 0; i < order.length; i++) {
        const { store, context } = order.at(i)
        expect(context >= 0 && context < counts[store]).toBe(true)
        met.add(`${store}/${context}`)
      }
      expect(met.size).toBe(counts.reduce((a, b) => a + b, 0))
    }),
  )
})

test('stores are mixed from the start', () => {
  const order = contextOrder({ counts: [1000, 1000, 2000], seed: 1, epoch: 0 })
  const first = [0, 0, 0]
  for (let i = 0; i < 400; i++) first[order.at(i).store]++
  // Four deviations of a hypergeometric draw are under 40.
  expect(Math.abs(first[0] - 100)).toBeLessThan(40)
  expect(Math.abs(first[1] - 100)).toBeLessThan(40)
  expect(Math.abs(first[2] - 200)).toBeLessThan(40)
})

test('positions and lengths that are none are refused', () => {
  const { at } = permutation({ length: 5, seed: 1, purpose: 'x' })
  for (const position of [-1, 5, 1.5, Number.NaN]) expect(() => at(position)).toThrow(RangeError)
  expect(() => permutation({ length: 0, seed: 1, purpose: 'x' }).at(0)).toThrow(RangeError)
  for (const length of [-1, 1.5, Number.NaN, 2 ** 53]) {
    expect(() => permutation({ length, seed: 1, purpose: 'x' })).toThrow(RangeError)
  }
  expect(() => contextOrder({ counts: [3, -1], seed: 1, epoch: 0 })).toThrow(RangeError)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createIncrementalTopKHeap, type HeapCandidate } from './heap.ts'

type Kept = { activation: number; keyHigh: number; keyLow: number; context: number; position: number }

/** Naive and by definition: each content's first strongest occurrence, sorted, cut. */
function oracle(candidates: HeapCandidate[], feature: number, capacity: number): Kept[] {
  const best = new Map<string, Kept & { order: number }>()
  candidates.forEach((candidate, order) => {
    const activation = Math.fround(candidate.activation)
    if (candidate.feature !== feature || !(activation > 0) || activation === Infinity) return
    const key = `${candidate.keyHigh}/${candidate.keyLow}`
    const known = best.get(key)
    if (known !== undefined && known.activation >= activation) return
    const { keyHigh, keyLow, context = 0, position = 0 } = candidate
    best.set(key, { activation, keyHigh, keyLow, context, position, order })
  })
  return [...best.values()]
    .sort((a, b) => b.activation - a.activation || a.order - b.order)
    .slice(0, capacity)
    .map(({ order: _, ...kept }) => kept)
}

const candidate = fc.record({
  feature: fc.integer({ min: 0, max: 2 }),
  // Few distinct values, so that ties are common; values that must be refused among them.
  activation: fc.oneof(
    fc.constantFrom(0.5, 1, 1.5, 2, 4, 0.1),
    fc.constantFrom(0, -1, Number.NaN, Infinity, -0, 1e-46),
  ),
  keyHigh: fc.integer({ min: 0, max: 1 }),
  keyLow: fc.integer({ min: -2, max: 9 }),
  context: fc.nat(1000),
  position: fc.nat(100),
})

test('equals the naive oracle over ties, evictions and duplicates', () => {
  fc.assert(
    fc.property(
      fc.array(candidate, { maxLength: 120 }),
      fc.integer({ min: 1, max: 6 }),
      (candidates, capacity) => {
        const heap = createIncrementalTopKHeap({ features: 3, capacity })
        for (const item of candidates) {
          const before = heap.examples(item.feature)
          const kept = heap.add(item)
          const after = heap.examples(item.feature)
          expect(kept).toBe(JSON.stringify(before) !== JSON.stringify(after))
        }
        let features = 0
        let examples = 0
        for (let feature = 0; feature < 3; feature++) {
          const found = heap.examples(feature).map(({ slot: _, ...rest }) => rest)
          expect(found).toEqual(oracle(candidates, feature, capacity))
          expect(heap.count(feature)).toBe(found.length)
          features += found.length > 0 ? 1 : 0
          examples += found.length
        }
        expect(heap.getStats()).toEqual({ features_in_heap: features, heap_examples_count: examples })
      },
    ),
    { numRuns: 500 },
  )
})

test('the counters follow every add, recounted each time', () => {
  fc.assert(
    fc.property(fc.array(candidate, { maxLength: 60 }), candidates => {
      const heap = createIncrementalTopKHeap({ features: 3, capacity: 2 })
      for (const item of candidates) {
        heap.add(item)
        const counts = [0, 1, 2].map(feature => heap.examples(feature).length)
        expect(heap.getStats()).toEqual({
          features_in_heap: counts.filter(count => count > 0).length,
          heap_examples_count: counts.reduce((sum, count) => sum + count, 0),
        })
      }
    }),
  )
})

test('of equal activations the earlier one stays', () => {
  const heap = createIncrementalTopKHeap({ features: 1, capacity: 2 })
  const add = (activation: number, keyLow: number) => heap.add({ feature: 0, activation, keyHigh: 0, keyLow })
  expect(add(2, 1)).toBe(true)
  expect(add(1, 2)).toBe(true)
  expect(add(1, 3)).toBe(false)
  expect(add(2, 4)).toBe(true)
  expect(heap.examples(0).map(example => example.keyLow)).toEqual([1, 4])
  expect(add(2, 5)).toBe(false)
})

test('a duplicate context is refused, a stronger one takes the place of the weaker', () => {
  const heap = createIncrementalTopKHeap({ features: 1, capacity: 3 })
  const add = (activation: number) => heap.add({ feature: 0, activation, keyHigh: 7, keyLow: 8 })
  expect(add(1)).toBe(true)
  expect(add(1)).toBe(false)
  expect(add(0.5)).toBe(false)
  expect(add(2)).toBe(true)
  expect(heap.getStats()).toEqual({ features_in_heap: 1, heap_examples_count: 1 })
  expect(heap.examples(0).map(example => example.activation)).toEqual([2])
})

test('admits never refuses what add keeps', () => {
  fc.assert(
    fc.property(fc.array(candidate, { maxLength: 60 }), candidates => {
      const heap = createIncrementalTopKHeap({ features: 3, capacity: 2 })
      for (const item of candidates) {
        const admitted = heap.admits(item.feature, item.activation)
        if (heap.add(item)) expect(admitted).toBe(true)
      }
    }),
  )
})

test('a slot belongs to one feature and survives until its eviction', () => {
  const heap = createIncrementalTopKHeap({ features: 4, capacity: 2 })
  const claim = (activation: number, keyLow: number) =>
    heap.claim({ feature: 3, activation, keyHigh: 0, keyLow })
  expect(claim(1, 1)).toBe(6)
  expect(claim(3, 2)).toBe(7)
  expect(claim(2, 3)).toBe(6)
  expect(claim(1.5, 4)).toBe(-1)
})

test('a size that is not a whole number above 0 is refused', () => {
  expect(() => createIncrementalTopKHeap({ features: 0 })).toThrow(/field: features; found: 0/)
  expect(() => createIncrementalTopKHeap({ features: 3, capacity: 1.5 })).toThrow(/field: capacity/)
})

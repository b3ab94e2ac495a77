import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createReservoirs } from './reservoir.ts'

function fill(options: { seed: number; perBin: number; contexts: number; feature?: number; keys?: number }) {
  const { seed, perBin, contexts, feature = 0, keys = contexts } = options
  const reservoirs = createReservoirs({ features: 3, seed, perBin })
  for (let context = 0; context < contexts; context++) {
    const slot = reservoirs.draw(feature, 5)
    if (slot < 0) continue
    const keyLow = context % keys
    reservoirs.put({ feature, bin: 5, slot, activation: 1, keyHigh: 0, keyLow, context, position: 0 })
  }
  return reservoirs
}

test('holds what came until it is full, then exactly perBin, all different', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 1, max: 4 }), fc.nat(60), (seed, perBin, contexts) => {
      const reservoirs = fill({ seed, perBin, contexts })
      const kept = reservoirs.examples(0).map(entry => entry.context)
      expect(new Set(kept).size).toBe(Math.min(perBin, contexts))
      expect(reservoirs.counts(0)[5]).toBe(contexts)
      expect(reservoirs.examples(1)).toEqual([])
    }),
  )
})

test('every context is kept equally often over seeds', () => {
  const contexts = 20
  const runs = 6000
  const times = new Array(contexts).fill(0)
  for (let seed = 0; seed < runs; seed++) {
    for (const { context } of fill({ seed, perBin: 2, contexts }).examples(0)) times[context]++
  }
  // Binomial with p = 0.1: mean 600, standard deviation 23; the seeds are fixed, so this is never flaky.
  for (const count of times) expect(Math.abs(count - 600)).toBeLessThan(5 * 23)
})

test('seeds draw differently, also where only their upper half does', () => {
  const drawn = (seed: number) =>
    fill({ seed, perBin: 4, contexts: 400 })
      .examples(0)
      .map(one => one.context)
  const all = [1, 2, 1 + 2 ** 32, 1 + 2 ** 33, 2 ** 52 + 1].map(seed => drawn(seed).join())
  expect(new Set(all).size).toBe(all.length)
  expect(drawn(2 ** 52 + 1).join()).toBe(all[4])
})

test('features draw on their own', () => {
  const alone = fill({ seed: 3, perBin: 2, contexts: 50 }).examples(0)
  const reservoirs = createReservoirs({ features: 3, seed: 3, perBin: 2 })
  for (let context = 0; context < 50; context++) {
    for (const feature of [2, 0, 1]) {
      const slot = reservoirs.draw(feature, 5)
      if (slot >= 0) {
        reservoirs.put({
          feature,
          bin: 5,
          slot,
          activation: 1,
          keyHigh: 0,
          keyLow: context,
          context,
          position: 0,
        })
      }
    }
  }
  expect(reservoirs.examples(0).map(entry => entry.context)).toEqual(alone.map(entry => entry.context))
})

test('a duplicate is refused and the older one stays', () => {
  const reservoirs = fill({ seed: 1, perBin: 3, contexts: 40, keys: 2 })
  const kept = reservoirs.examples(0)
  expect(kept.map(entry => entry.keyLow).sort()).toEqual([0, 1])
  expect(kept.map(entry => entry.context).sort()).toEqual([0, 1])
})

test('the strongest bin comes first', () => {
  const reservoirs = createReservoirs({ features: 1, seed: 0, perBin: 2 })
  ;[3, 9, 4].forEach((bin, context) => {
    const slot = reservoirs.draw(0, bin)
    const content = { keyHigh: 0, keyLow: context, context, position: 0 }
    reservoirs.put({ feature: 0, bin, slot, activation: bin, ...content })
  })
  expect(reservoirs.examples(0).map(entry => entry.bin)).toEqual([9, 4, 3])
})

test('a size that does not fit is refused', () => {
  expect(() => createReservoirs({ features: 1, seed: 0, perBin: 256 })).toThrow(/perBin; found: 256/)
})

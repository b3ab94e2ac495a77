// Datasets mixed by weight: the shares, the epochs of each, and that the position alone decides the context.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { inputError } from '../testing/corpus_support.ts'
import { mixtureBlock, mixtureOrder } from './mixture.ts'

const take = (order: ReturnType<typeof mixtureOrder>, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => order.at(from + i))

describe('a mixture', () => {
  test('gives every dataset its share, to two contexts at the end of each block', () => {
    const weights = [5, 0.7, 1]
    const order = mixtureOrder({ counts: [40, 3000, 7], weights, seed: 4 })
    const read = [0, 0, 0]
    for (let block = 1; block <= 6; block++) {
      for (const { store } of take(order, (block - 1) * mixtureBlock, block * mixtureBlock)) read[store]++
      read.forEach((count, store) => {
        expect(Math.abs(count - (block * mixtureBlock * weights[store]) / 6.7)).toBeLessThan(2)
      })
      expect(order.readBefore(block * mixtureBlock)).toEqual(read)
    }
  })

  test('spreads a dataset over the block', () => {
    const order = mixtureOrder({ counts: [10, 10], weights: [1, 3], seed: 1 })
    const stores = take(order, 0, mixtureBlock).map(({ store }) => store)
    const quarters = [0, 1, 2, 3].map(q =>
      stores.slice((q * mixtureBlock) / 4, ((q + 1) * mixtureBlock) / 4).filter(store => store === 0),
    )
    // 64 expected in each; a block sorted by dataset has 256 in one of them.
    for (const { length } of quarters) expect(Math.abs(length - 64)).toBeLessThan(30)
  })

  test('passes through each dataset whole before it comes round again, in another order', () => {
    const order = mixtureOrder({ counts: [11, 500], weights: [1, 1], seed: 2 })
    const small = take(order, 0, 100).filter(({ store }) => store === 0)
    const epochs = Map.groupBy(small, ({ epoch }) => epoch)
    const whole = [...epochs.values()].filter(contexts => contexts.length === 11)
    expect(whole.length).toBeGreaterThanOrEqual(3)
    for (const contexts of whole)
      expect(contexts.map(({ context }) => context).sort((a, b) => a - b)).toEqual([...Array(11).keys()])
    const firstOf = (epoch: number) => epochs.get(epoch)!.map(({ context }) => context)
    expect(firstOf(0)).not.toEqual(firstOf(1))
  })

  test('is a function of the position: any way of asking gives the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 60 })), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (stores, positions, seed) => {
          const [counts, weights] = [stores.map(([count]) => count), stores.map(([, weight]) => weight)]
          const order = mixtureOrder({ counts, weights, seed })
          for (const position of positions) {
            const fresh = mixtureOrder({ counts, weights, seed }).at(position)
            expect(order.at(position)).toEqual(fresh)
            expect(fresh.context).toBeLessThan(counts[fresh.store])
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  test('depends on ratios of the weights alone, and on the seed', () => {
    const counts = [9, 30]
    const one = take(mixtureOrder({ counts, weights: [1, 2], seed: 0 }), 0, 200)
    expect(take(mixtureOrder({ counts, weights: [10, 20], seed: 0 }), 0, 200)).toEqual(one)
    expect(take(mixtureOrder({ counts, weights: [1, 2], seed: 1 }), 0, 200)).not.toEqual(one)
  })

  test.each<[string, number[], RegExp]>([
    ['too few', [1], /1 weights for 2 datasets/],
    ['zero', [1, 0], /found: 0; expected: numbers above 0/],
    ['infinite', [1, Number.POSITIVE_INFINITY], /Infinity/],
    ['NaN', [Number.NaN, 1], /NaN/],
    ['hopelessly unequal', [1e6, 1], /at least 1\/1024/],
    ['together infinite', [1e308, 1e308], /at least/],
  ])('refuses weights that are %s', async (_, weights, message) => {
    const error = await inputError(() => mixtureOrder({ counts: [5, 5], weights, seed: 0 }))
    expect(error.details.field).toBe('dataset_weights')
    expect(error.message).toMatch(message)
  })
})

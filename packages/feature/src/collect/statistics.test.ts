import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createStatistics, logBin, logBinRange, logBins } from './statistics.ts'

const positive = fc
  .float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(1e-30), max: Math.fround(1e9) })
  .filter(value => value > 0)

test('the bin of a value is the power of two below it, with an underflow and an overflow', () => {
  fc.assert(
    fc.property(positive, value => {
      const exponent = Math.floor(Math.log2(value))
      // log2 in float64 of a float32 is exact at powers of two and safe between them.
      const expected =
        exponent < logBins.minExponent
          ? 0
          : exponent >= logBins.maxExponent
            ? logBins.count - 1
            : exponent - logBins.minExponent + 1
      expect(logBin(value)).toBe(expected)
      const { low, high } = logBinRange(logBin(value))
      expect(value >= low && value < high).toBe(true)
    }),
  )
})

test('edges of the histogram', () => {
  expect(logBin(2 ** -16)).toBe(1)
  expect(logBin(2 ** -16 - 2 ** -40)).toBe(0)
  expect(logBin(1e-45)).toBe(0)
  expect(logBin(2 ** 16)).toBe(logBins.count - 1)
  expect(logBin(2 ** 16 - 1)).toBe(logBins.count - 2)
  expect(logBinRange(17)).toEqual({ low: 1, high: 2 })
  expect(logBinRange(0)).toEqual({ low: 0, high: 2 ** -16 })
  expect(logBinRange(logBins.count - 1)).toEqual({ low: 2 ** 16, high: Infinity })
})

test('counts, density, maximum, mean and histogram equal their definitions', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(positive, { maxLength: 20 }), { maxLength: 5 }),
      fc.nat(50),
      (runs, extra) => {
        const statistics = createStatistics({ features: 2 })
        for (const run of runs) {
          const values = Float32Array.from(run)
          statistics.addRun(1, values, new Int32Array(values.buffer), 0, values.length)
          statistics.addTokens(values.length)
        }
        statistics.addTokens(extra)
        const all = runs.flat()
        const tokens = all.length + extra
        const found = statistics.of(1)
        expect(statistics.tokens()).toBe(tokens)
        expect(found.fired).toBe(all.length)
        expect(found.density).toBe(tokens === 0 ? null : all.length / tokens)
        expect(found.histogram.reduce((sum, count) => sum + count, 0)).toBe(all.length)
        if (all.length === 0) {
          expect(found.max).toBeNull()
          expect(found.mean).toBeNull()
        } else {
          expect(found.max).toBe(Math.max(...all))
          const mean = all.reduce((sum, value) => sum + value, 0) / all.length
          expect(Math.abs(found.mean! - mean)).toBeLessThanOrEqual(1e-12 * mean)
          for (const value of all) expect(found.histogram[logBin(value)]).toBeGreaterThan(0)
        }
        expect(statistics.alive()).toBe(all.length === 0 ? 0 : 1)
        expect(statistics.of(0)).toEqual({
          fired: 0,
          density: tokens === 0 ? null : 0,
          max: null,
          mean: null,
          histogram: new Array(logBins.count).fill(0),
        })
      },
    ),
  )
})

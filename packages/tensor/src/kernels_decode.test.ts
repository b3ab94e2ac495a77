// Residuals against the oracle.
import * as fc from 'fast-check'
import { describe, test } from 'vitest'
import {
  floats,
  keptValues,
  rowCount,
  seed,
  selections,
  uniform,
  width,
} from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

const shape = fc.record({
  d: width,
  rows: rowCount,
  // Past 32 hits a row is processed in stretches.
  k: fc.oneof(fc.constantFrom(1, 2, 3, 4, 5, 8, 32, 33, 64, 70), fc.integer({ min: 1, max: 20 })),
  spare: fc.integer({ min: 0, max: 9 }),
  relu: fc.boolean(),
  withBias: fc.boolean(),
  scale: fc.constantFrom(1, 2 / 4096, -0.37),
  seed,
})
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

function inputOf({ d, rows, k, spare, relu, withBias, scale, seed: from }: Shape) {
  const random = uniform(from)
  const m = k + spare
  return {
    d,
    rows,
    k,
    m,
    relu,
    scale: Math.fround(scale),
    index: selections(rows, k, m, random),
    value: keptValues(rows * k, random),
    wDec: floats(m * d, random),
    bDec: withBias ? floats(d, random) : undefined,
    x: floats(rows * d, random),
  }
}
describe('residualRows', () => {
  test('agrees with the oracle, in place too, and an infinite input gives an infinite error in its row alone', () => {
    fc.assert(
      fc.property(shape, fc.boolean(), (options, infinite) => {
        const { d, rows, x, wDec } = inputOf(options)
        const xhat = Float32Array.from({ length: rows * d }, (_, i) => wDec[i % wDec.length])
        if (infinite && x.length > 0) x[0] = Number.POSITIVE_INFINITY
        const arena = createArena({ skew: 8 })
        const [e, at, sq] = [arena.put(xhat), arena.put(x), arena.room(rows * 8)]
        kernels.residualRows(e, at, rows, d, e, sq)
        arena.check()
        const expected = oracle.residualRows({ xhat, x, rows, d })
        expectClose(arena.f32(e, rows * d), expected.e, { scale: 1 })
        expectClose(arena.f64(sq, rows), expected.sq)
      }),
      { numRuns: 200 },
    )
  })
})

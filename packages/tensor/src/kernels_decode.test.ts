// Residuals and exact rescoring against the oracle.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, keptValues, rowCount, seed, selections, uniform, width } from './kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from './kernel_arena.ts'
import * as oracle from './kernel_oracle/index.ts'

const shape = fc.record({
  d: width,
  rows: rowCount,
  // Past 32 hits a row is worked through in stretches.
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

describe('rescoreRows', () => {
  const rescore = (
    options: Parameters<typeof oracle.rescoreRows>[0] & {
      x: Float32Array
      w: Float32Array
      bias?: Float32Array
      cand: Int32Array
    },
  ) => {
    const { x, rows, d, w, bias, cand, c } = options
    const arena = createArena({ skew: 4 })
    const at = {
      x: arena.put(x),
      w: arena.put(w),
      bias: bias === undefined ? 0 : arena.put(bias),
      cand: arena.put(cand),
    }
    const out = arena.room(rows * c * 4)
    kernels.rescoreRows(at.x, rows, d, at.w, at.bias, at.cand, c, out)
    arena.check()
    return arena.f32(out, rows * c)
  }

  test('agrees with the oracle', () => {
    fc.assert(
      fc.property(shape, options => {
        const { x, rows, d, wDec: w, index: cand, k: c, m } = inputOf(options)
        const bias = options.withBias ? floats(m, uniform(options.seed + 1)) : undefined
        const input = { x, rows, d, w, bias, cand, c }
        expectClose(rescore(input), oracle.rescoreRows(input), { scale: Math.sqrt(d) })
      }),
    )
  })

  test('a candidate scores the same wherever it stands in the list', () => {
    fc.assert(
      fc.property(width, fc.integer({ min: 2, max: 11 }), seed, (d, c, from) => {
        const random = uniform(from)
        const input = { x: floats(d, random), rows: 1, d, w: floats(d, random), cand: new Int32Array(c), c }
        expect(new Set(rescore(input)).size).toBe(1)
      }),
    )
  })
})

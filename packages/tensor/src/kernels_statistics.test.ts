// Sums over rows in float64 and the eight-bit forms against the oracle.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, rowCount, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

const shape = fc.record({ d: width, rows: rowCount, seed })
const tolerance = 1e-12

describe('sums over rows', () => {
  test('columnSums', () => {
    fc.assert(
      fc.property(shape, ({ d, rows, seed: from }) => {
        const random = uniform(from)
        const input = { x: floats(rows * d, random), rows, d, scale: Math.fround(random()) }
        const arena = createArena({ skew: 8 })
        const [x, out] = [arena.put(input.x), arena.room(d * 8)]
        kernels.columnSums(x, rows, d, input.scale, out)
        arena.check()
        expectClose(arena.f64(out, d), oracle.columnSums(input), { tolerance })
      }),
    )
  })

  test('weightedRowSum over a range of rows; a coefficient of 0 hides its row', () => {
    fc.assert(
      fc.property(shape, fc.nat(), fc.nat(), ({ d, rows, seed: from }, a, b) => {
        const random = uniform(from)
        const [lo, hi] = [a % (rows + 1), b % (rows + 1)].sort((p, q) => p - q)
        const input = { w: floats(rows * d, random), coef: floats(rows, random), lo, hi, d }
        if (hi > lo) {
          input.coef[lo] = 0
          input.w.fill(Number.NaN, lo * d, (lo + 1) * d)
        }
        const arena = createArena({ skew: 8 })
        const [w, coef, out] = [arena.put(input.w), arena.put(input.coef), arena.room(d * 8)]
        kernels.weightedRowSum(w, coef, lo, hi, d, out)
        arena.check()
        expectClose(arena.f64(out, d), oracle.weightedRowSum(input), { tolerance, scale: 1 })
      }),
    )
  })

  test('runningMoments add up over calls, masked rows left out', () => {
    fc.assert(
      fc.property(shape, fc.boolean(), fc.nat(), ({ d, rows, seed: from }, masked, cut) => {
        const random = uniform(from)
        const data = floats(rows * d, random)
        const mask = masked ? Uint8Array.from({ length: rows }, () => Number(random() < 0.5)) : undefined
        const arena = createArena({ skew: 8 })
        const x = arena.put(data)
        const at = mask === undefined ? 0 : arena.put(mask)
        const [sum, sumSq] = [arena.put(new Float64Array(d)), arena.put(new Float64Array(1))]
        const count = arena.put(new Float64Array(1))
        const first = cut % (rows + 1)
        kernels.runningMoments(x, at, first, d, sum, sumSq, count)
        kernels.runningMoments(x + first * d * 4, at && at + first, rows - first, d, sum, sumSq, count)
        arena.check()
        const expected = oracle.runningMoments({ x: data, mask, rows, d })
        expectClose(arena.f64(sum, d), expected.sum, { tolerance })
        expectClose(arena.f64(sumSq, 1), [expected.sumSq], { tolerance })
        expect(arena.f64(count, 1)[0]).toBe(expected.count)
      }),
    )
  })
})

/** Rows of very different size; some all zero, one with a NaN, one with an ∞. */
function spread(rows: number, d: number, random: () => number): Float32Array {
  const x = floats(rows * d, random)
  for (let r = 0; r < rows; r++) {
    const size = random() < 0.2 ? 0 : 10 ** (8 * random() - 4)
    for (let j = 0; j < d; j++) x[r * d + j] *= size
    if (random() < 0.05) x[r * d] = Number.NaN
    if (random() < 0.05) x[r * d + d - 1] = Number.POSITIVE_INFINITY
  }
  return x
}

describe('eight-bit forms', () => {
  test('quantiseRowsU8', () => {
    fc.assert(
      fc.property(shape, ({ d, rows, seed: from }) => {
        const x = spread(rows, d, uniform(from))
        const arena = createArena({ skew: 8 })
        const [at, out, scale] = [arena.put(x), arena.room(rows * d), arena.room(rows * 4)]
        kernels.quantiseRowsU8(at, rows, d, out, scale)
        arena.check()
        const expected = oracle.quantiseRowsU8({ x, rows, d })
        expect(arena.f32(scale, rows)).toEqual(expected.scale)
        expect(arena.u8(out, rows * d)).toEqual(expected.level)
      }),
      { numRuns: 200 },
    )
  })

  test('halves round to even', () => {
    const x = Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -127, 3.5)
    const arena = createArena()
    const [at, out, scale] = [arena.put(x), arena.room(9), arena.room(4)]
    kernels.quantiseRowsU8(at, 1, 9, out, scale)
    expect([...arena.u8(out, 9)].map(level => level - 128)).toEqual([127, 0, 2, 2, 0, -2, 126, -127, 4])
  })

  test('quantiseTransposeI8, in any split of the rows', () => {
    const many = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(64, 65, 80, 130, 144))
    fc.assert(
      fc.property(
        width,
        many,
        seed,
        fc.integer({ min: 2, max: 8 }),
        fc.nat(),
        fc.boolean(),
        (d, m, from, bits, cut, clean) => {
          const random = uniform(from)
          const w = clean ? floats(m * d, random) : spread(m, d, random)
          const arena = createArena({ skew: 8 })
          const [at, out, scale] = [arena.put(w), arena.room(m * d), arena.room(m * 4)]
          const middle = cut % (m + 1)
          kernels.quantiseTransposeI8(at, 0, middle, m, d, bits, out, scale)
          kernels.quantiseTransposeI8(at, middle, m, m, d, bits, out, scale)
          arena.check()
          const expected = oracle.quantiseTransposeI8({ w, m, d, bits })
          expect(arena.f32(scale, m)).toEqual(expected.scale)
          expect(arena.i8(out, m * d)).toEqual(expected.level)
        },
      ),
      { numRuns: 200 },
    )
  })
})

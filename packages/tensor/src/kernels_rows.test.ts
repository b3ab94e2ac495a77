// Row normalisation, sums for metrics, norms by segment.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { floats, rowCount, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/rows.ts'

const shape = fc.record({ d: width, rows: rowCount, seed })
const cut = (values: Float32Array, d: number) =>
  Array.from({ length: values.length / d }, (_, r) => [...values.subarray(r * d, (r + 1) * d)])

test('tokenRmsRows and layerNormRows normalise each row by itself; a row of zeros stays', () => {
  fc.assert(
    fc.property(shape, ({ d, rows, seed: from }) => {
      const x = floats(rows * d, uniform(from))
      if (rows > 0) x.fill(0, 0, d)
      const arena = createArena({ skew: 4 })
      const [rms, norm] = [arena.put(x), arena.put(x)]
      kernels.tokenRmsRows(rms, rows, d)
      kernels.layerNormRows(norm, rows, d)
      arena.check()
      expectClose(arena.f32(rms, rows * d), cut(x, d).flatMap(oracle.tokenRmsRows), { scale: 1 })
      expectClose(arena.f32(norm, rows * d), cut(x, d).flatMap(oracle.layerNormRows), { scale: 1 })
    }),
  )
})

test('reconstructionSums', () => {
  fc.assert(
    fc.property(shape, fc.constantFrom(1, 0.5), ({ d, rows, seed: from }, scale) => {
      const random = uniform(from)
      const [y, e] = [floats(rows * d, random), floats(rows * d, random)]
      const arena = createArena({ skew: 8 })
      const [a, b, columns, totals] = [arena.put(y), arena.put(e), arena.room(d * 24), arena.room(32)]
      kernels.reconstructionSums(a, b, rows, d, scale, columns, totals)
      arena.check()
      const expected = oracle.reconstructionSums(cut(y, d), cut(e, d), scale)
      expectClose(arena.f64(columns, 3 * d), rows === 0 ? new Array(3 * d).fill(0) : expected.columns, {
        tolerance: 1e-12,
        scale: 1,
      })
      expectClose(arena.f64(totals, 4), expected.totals, { tolerance: 1e-12, scale: 1 })
    }),
  )
})

test('segmentNorms sums the norms of the spans, combineRange weighs two ranges', () => {
  fc.assert(
    fc.property(width, fc.nat(), seed, (d, at, from) => {
      const random = uniform(from)
      const middle = at % (d + 1)
      const [w, other] = [floats(3 * d, random), floats(3 * d, random)]
      const arena = createArena()
      const [rows, b, norms] = [arena.put(w), arena.put(other), arena.put(new Float32Array(3))]
      const spans = arena.put(Int32Array.of(0, middle, middle, d))
      kernels.segmentNorms(rows, 1, 3, d, spans, 2, norms)
      const segments = [
        [0, middle],
        [middle, d],
      ] as const
      const expected = cut(w, d).map(row => oracle.segmentNorms(row, segments))
      expectClose(arena.f32(norms, 3), [0, expected[1], expected[2]])
      kernels.combineRange(rows, 0.5, b, 2, 3 * d)
      arena.check()
      expectClose(arena.f32(rows, 3 * d), oracle.combineRange(w, 0.5, other, 2), { tolerance: 1e-6 })
    }),
  )
})

test('the norms of huge and of tiny rows are neither infinite nor 0', () => {
  for (const size of [1e25, 1e-30]) {
    const arena = createArena()
    const row = arena.put(new Float32Array(8).fill(size))
    kernels.tokenRmsRows(row, 1, 8)
    expect([...arena.f32(row, 8)]).toEqual(new Array(8).fill(1))
  }
})

// The screened encode's kernels against the oracle: scores scaled by row, and exact scores of what they choose. TopK's candidates
// have their own tests: kernels_candidates.test.ts.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, rowCount, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'
import { topkScratchBytes } from './kernels.ts'

test('upperScores agrees with the oracle, in place', () => {
  const probeCount = fc.constantFrom(4, 8, 16, 20)
  fc.assert(
    fc.property(
      width,
      width,
      rowCount,
      fc.boolean(),
      probeCount,
      seed,
      (m, d, rows, normed, probes, from) => {
        const random = uniform(from)
        const [pre, scale, bias] = [floats(rows * m, random), floats(rows, random), floats(m, random)]
        const [x, w] = [floats(rows * d, random), floats(m * d, random)]
        const factor = normed ? floats(m, random) : undefined
        const arena = createArena({ skew: 4 })
        const at = arena.put(pre)
        const [s, input, weights, b] = [scale, x, w, bias].map(arena.put)
        const f = factor === undefined ? 0 : arena.put(factor)
        kernels.upperScores(at, rows, m, s, input, d, weights, b, f, probes, arena.room(16))
        arena.check()
        const wanted = oracle.upperScores({ pre, rows, m, scale, x, d, w, bias, factor, probes })
        expectClose(arena.f32(at, rows * m), wanted, { scale: Math.sqrt(d) })
      },
    ),
  )
})

test('upperScores without a number to go by has no bound', () => {
  const arena = createArena()
  const [pre, s, x, w, b] = [
    Float32Array.of(1, 2),
    Float32Array.of(1),
    Float32Array.of(Number.NaN),
    Float32Array.of(1, 1),
    new Float32Array(2),
  ].map(arena.put)
  kernels.upperScores(pre, 1, 2, s, x, 1, w, b, 0, 4, arena.room(16))
  expect([...arena.f32(pre, 2)]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
})

type Rescored = Parameters<typeof oracle.rescoreRows>[0] & {
  pre: Float32Array
  x: Float32Array
  w: Float32Array
  bias: Float32Array
  factor?: Float32Array
}

function rescore({ pre, rows, m, x, d, w, bias, factor, k, c }: Rescored) {
  const arena = createArena({ skew: 4 })
  const [p, input, weights, b] = [pre, x, w, bias].map(arena.put)
  const f = factor === undefined ? 0 : arena.put(factor)
  const [index, value] = [arena.room(rows * k * 4), arena.room(rows * k * 4)]
  const scratch = arena.room(topkScratchBytes(m, c) + c * 4)
  kernels.rescoreRows(p, rows, m, input, d, weights, b, f, k, c, index, value, scratch)
  arena.check()
  return { index: arena.i32(index, rows * k), value: arena.f32(value, rows * k) }
}

describe('rescoreRows', () => {
  const shape = fc.record({
    d: width,
    rows: rowCount,
    // From 256 latents on the scan begins with a threshold.
    m: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 250, max: 600 })),
    shares: fc.tuple(...[1, 2].map(() => fc.double({ min: 0, max: 1, noNaN: true }))),
    /** The most by which the given scores exceed the exact ones, which are integers. */
    off: fc.constantFrom(0, 0.4, 3),
    normed: fc.boolean(),
    seed,
  })

  test('keeps what the oracle keeps', () => {
    fc.assert(
      fc.property(shape, ({ d, rows, m, shares, off, normed, seed: from }) => {
        const random = uniform(from)
        // Small integers, whose sums float32 holds: the selection has one answer, ties included.
        const whole = (n: number, most: number) => floats(n, random).map(v => Math.round(v * most))
        const [x, w, bias] = [whole(rows * d, 3), whole(m * d, 2), whole(m, 2)]
        const factor = normed ? whole(m, 3).map(v => v + 4) : undefined
        const pre = Float32Array.from({ length: rows * m }, (_, p) => {
          let sum = bias[p % m]
          for (let j = 0; j < d; j++) sum += x[Math.floor(p / m) * d + j] * w[(p % m) * d + j]
          return sum * (factor?.[p % m] ?? 1) + off * random()
        })
        const k = 1 + Math.floor((shares[0] * (m - 1)) / 4)
        const c = k + Math.floor((shares[1] * (m - k)) / 3)
        const input = { pre, rows, m, x, d, w, bias, factor, k, c }
        expect(rescore(input)).toEqual(oracle.rescoreRows(input))
      }),
      { numRuns: 300, seed: 5 },
    )
  })

  /** One column: the exact scores are the weights. */
  const plain = { d: 1, x: Float32Array.of(1), rows: 1, bias: new Float32Array(4), m: 4, k: 1, c: 2 }
  const w = Float32Array.of(5, 4, 9, 1)

  test('a row with a NaN among its scores is NaN', () => {
    const broken = { index: Int32Array.of(0), value: Float32Array.of(Number.NaN) }
    expect(rescore({ ...plain, pre: Float32Array.of(5, 4, 9, Number.NaN), w })).toEqual(broken)
    const pre = Float32Array.of(5, 4, 9, 1)
    expect(rescore({ ...plain, pre, w: Float32Array.of(5, 4, Number.NaN, 1) })).toEqual(broken)
    expect(rescore({ ...plain, pre, w: Float32Array.of(5, Number.NaN, 9, 1) }).value[0]).toBe(9)
  })

  test('fewer scores above −∞ than k: the first of the others', () => {
    const [none, pre] = [Number.NEGATIVE_INFINITY, Float32Array.of(-Infinity, 4, -Infinity, -Infinity)]
    const given = { ...plain, pre, w, bias: Float32Array.of(none, 0, none, none) }
    expect(rescore({ ...given, k: 2 })).toEqual({
      index: Int32Array.of(0, 1),
      value: Float32Array.of(0, 4),
    })
    expect(rescore(given)).toEqual({ index: Int32Array.of(1), value: Float32Array.of(4) })
  })
})

test('settleSpans agrees with the oracle, spans with gaps between them included', () => {
  fc.assert(
    fc.property(width, rowCount, fc.boolean(), seed, (m, rows, normed, from) => {
      const random = uniform(from)
      const counts = Array.from({ length: rows }, () => Math.floor(random() * 6))
      const gap = 2
      const starts = counts.map((_, r) => counts.slice(0, r).reduce((sum, n) => sum + n + gap, 0))
      const index = counts.flatMap(n => Array.from({ length: n }, () => Math.floor(random() * m)))
      const [value, exact] = [floats(index.length, random), floats(index.length, random)]
      const bias = floats(m, random)
      const factor = normed ? floats(m, random) : undefined
      const spread = <T extends Float32Array | Int32Array>(out: T, values: ArrayLike<number>): T => {
        let p = 0
        counts.forEach((n, r) => {
          for (let i = 0; i < n; i++) out[starts[r] + i] = values[p++]
        })
        return out
      }
      const room = index.length + gap * rows
      const arena = createArena({ skew: 4 })
      const filler = 77
      const at = {
        index: arena.put(spread(new Int32Array(room), index)),
        value: arena.put(spread(new Float32Array(room).fill(filler), value)),
        exact: arena.put(spread(new Float32Array(room), exact)),
        from: arena.put(Int32Array.from(starts)),
        to: arena.put(Int32Array.from(starts, (start, r) => start + counts[r])),
        bias: arena.put(bias),
        factor: factor === undefined ? 0 : arena.put(factor),
        above: arena.room(4),
      }
      kernels.settleSpans(at.index, at.value, at.exact, at.from, at.to, rows, at.bias, at.factor, at.above)
      arena.check()
      const wanted = oracle.settleSpans({ index, value, exact, bias, factor })
      expectClose(
        arena.f32(at.value, room),
        Float64Array.from(spread(new Float32Array(room).fill(filler), wanted.value)),
        { scale: 1 },
      )
      const above = arena.f32(at.above, 1)[0]
      expect(above === wanted.above || Math.abs(above - wanted.above) < 1e-6).toBe(true)
    }),
  )
})

// Sparse decode, residual, gradients of kept values and exact rescoring against the oracle.
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
type Input = ReturnType<typeof inputOf>

/** The fused kernel. */
function decodeStep({ index, value, rows, k, wDec, d, bDec, x, scale, relu }: Input) {
  const arena = createArena({ skew: 8 })
  const at = { index: arena.put(index), value: arena.put(value), wDec: arena.put(wDec), x: arena.put(x) }
  const bias = bDec === undefined ? 0 : arena.put(bDec)
  const [e, sq, g] = [arena.room(rows * d * 4), arena.room(rows * 8), arena.room(rows * k * 4)]
  kernels.decodeStep(at.index, at.value, rows, k, at.wDec, d, bias, at.x, scale, relu ? 1 : 0, e, sq, g)
  arena.check()
  return { e: arena.f32(e, rows * d), sq: arena.f64(sq, rows), g: arena.f32(g, rows * k) }
}

/** The three kernels that the fused one joins. */
function threeSteps({ index, value, rows, k, wDec, d, bDec, x, scale, relu }: Input) {
  const arena = createArena({ skew: 8 })
  const at = { index: arena.put(index), value: arena.put(value), wDec: arena.put(wDec), x: arena.put(x) }
  const bias = bDec === undefined ? 0 : arena.put(bDec)
  const [e, sq, g] = [arena.room(rows * d * 4), arena.room(rows * 8), arena.room(rows * k * 4)]
  kernels.decodeRows(at.index, at.value, rows, k, at.wDec, d, bias, e)
  arena.check()
  const xhat = arena.f32(e, rows * d)
  kernels.residualRows(e, at.x, rows, d, e, sq)
  kernels.valueGrads(e, at.index, at.value, rows, k, at.wDec, d, scale, relu ? 1 : 0, g)
  arena.check()
  return { xhat, e: arena.f32(e, rows * d), sq: arena.f64(sq, rows), g: arena.f32(g, rows * k) }
}

describe('decodeRows, residualRows, valueGrads', () => {
  test('agree with the oracle', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf(options)
        const { xhat, e, sq, g } = threeSteps(input)
        expectClose(xhat, oracle.decodeRows(input), { scale: 1 })
        const expected = oracle.decodeStep(input)
        expectClose(e, expected.e, { scale: 1 })
        expectClose(sq, expected.sq)
        expectClose(g, expected.g, { scale: Math.abs(input.scale) * Math.sqrt(input.d) })
      }),
      { numRuns: 200 },
    )
  })

  test('decodeStep is the three of them bit for bit', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf(options)
        const { e, sq, g } = threeSteps(input)
        expect(decodeStep(input)).toEqual({ e, sq, g })
      }),
    )
  })

  test('rows come out the same however they are shared out', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf(options)
        const { index, value, x, rows, k, d } = input
        const parts = Array.from({ length: rows }, (_, r) =>
          decodeStep({
            ...input,
            rows: 1,
            index: index.subarray(r * k, (r + 1) * k),
            value: value.subarray(r * k, (r + 1) * k),
            x: x.subarray(r * d, (r + 1) * d),
          }),
        )
        const whole = decodeStep(input)
        expect(parts.flatMap(part => [...part.e])).toEqual([...whole.e])
        expect(parts.flatMap(part => [...part.sq])).toEqual([...whole.sq])
        expect(parts.flatMap(part => [...part.g])).toEqual([...whole.g])
      }),
    )
  })

  test('a reconstruction goes on where another left it, with the bits of one that never stopped', () => {
    fc.assert(
      fc.property(shape, fc.nat(), (options, place) => {
        const input = inputOf(options)
        const { rows, k, d } = input
        const first = place % (k + 1)
        const hits = (from: number, to: number) => {
          const cut = (_: number, i: number) => i % k >= from && i % k < to
          return { rows, k: to - from, index: input.index.filter(cut), value: input.value.filter(cut) }
        }
        const [before, after] = [hits(0, first), hits(first, k)]
        const arena = createArena({ skew: 8 })
        const [wDec, bDec] = [arena.put(input.wDec), input.bDec === undefined ? 0 : arena.put(input.bDec)]
        const [index, value] = [arena.put(before.index), arena.put(before.value)]
        const [indexAfter, valueAfter] = [arena.put(after.index), arena.put(after.value)]
        const out = arena.room(rows * d * 4)
        kernels.decodeRows(index, value, rows, first, wDec, d, bDec, out)
        const begun = Float32Array.from(arena.f32(out, rows * d))
        kernels.decodeOnto(indexAfter, valueAfter, rows, k - first, wDec, d, out)
        arena.check()
        expectClose(arena.f32(out, rows * d), oracle.decodeOnto({ ...input, ...after, out: begun }), {
          scale: 1,
        })
        expect(arena.f32(out, rows * d)).toEqual(threeSteps(input).xhat)
      }),
    )
  })

  test("a latent's gradient does not depend on its place among the kept", () => {
    fc.assert(
      fc.property(width, fc.integer({ min: 2, max: 11 }), seed, (d, k, from) => {
        const random = uniform(from)
        const same = { d, rows: 1, m: 1, wDec: floats(d, random), bDec: undefined, x: floats(d, random) }
        const value = new Float32Array(k).fill(0.25)
        const { g } = decodeStep({ ...same, k, index: new Int32Array(k), value, scale: 1, relu: true })
        expect(new Set(g).size).toBe(1)
      }),
    )
  })

  test('a value of 0 adds nothing, not even where its decoder row is not finite', () => {
    const input = inputOf({ d: 37, rows: 1, k: 3, spare: 0, relu: true, withBias: true, scale: 1, seed: 5 })
    input.value.set([0.5, 0, -0])
    input.index.set([0, 1, 2])
    input.wDec.fill(Number.POSITIVE_INFINITY, 37, 74).fill(Number.NaN, 74)
    const { e, g } = decodeStep(input)
    expect(e.every(Number.isFinite)).toBe(true)
    expectClose(e, oracle.decodeStep(input).e, { scale: 1 })
    expect([...g.subarray(1)]).toEqual([0, 0])
  })

  test('a NaN value is seen in the error, its square and its gradient, and only in its row', () => {
    fc.assert(
      fc.property(shape, fc.nat(), (options, place) => {
        const input = inputOf({ ...options, rows: 3 })
        const { k, d, value } = input
        const bad = k + (place % k)
        value[bad] = Number.NaN
        const { e, sq, g } = decodeStep(input)
        expect([...e].map(Number.isNaN)).toEqual([...e].map((_, i) => Math.floor(i / d) === 1))
        expect([...sq].map(Number.isNaN)).toEqual([false, true, false])
        expect(g[bad]).toBeNaN()
      }),
    )
  })

  test('an infinite input gives an infinite error, not a crash', () => {
    const input = inputOf({ d: 21, rows: 2, k: 4, spare: 3, relu: false, withBias: true, scale: 1, seed: 9 })
    input.x[4] = Number.POSITIVE_INFINITY
    const { e, sq, g } = decodeStep(input)
    expect(e[4]).toBe(Number.NEGATIVE_INFINITY)
    expect(sq[0]).toBe(Number.POSITIVE_INFINITY)
    expect(Number.isFinite(sq[1])).toBe(true)
    expect(g.subarray(0, 4).some(Number.isFinite)).toBe(false)
    expect(g.subarray(4).every(Number.isFinite)).toBe(true)
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

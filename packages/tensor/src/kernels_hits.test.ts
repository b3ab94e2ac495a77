// Rows of hits of varying length: collecting, splitting, decoding and dots, and the end of the gradients.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

describe('collectAbove', () => {
  const shape = fc.record({
    m: width,
    rows: fc.integer({ min: 0, max: 6 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    seed,
  })

  test('lists what is above each latent’s limit by row and latent, with spans and the number needed', () => {
    fc.assert(
      fc.property(shape, ({ m, rows, share, seed: from }) => {
        const random = uniform(from)
        const pre = floats(rows * m, random)
        const bias = floats(m, random)
        const limit = Float32Array.from({ length: m }, () =>
          Math.fround(2 * (1 - share) + 0.4 * random() - 0.2),
        )
        if (rows * m > 3) pre[(rows * m) >> 1] = Number.NaN
        const [firstRow, at] = [40, 7]
        const expected = oracle.collectAbove({ pre, rows, m, bias, limit, firstRow, at })
        const n = expected.index.length
        const arena = createArena({ skew: 4 })
        const [p, b, l] = [arena.put(pre), arena.put(bias), arena.put(limit)]
        const room = () => arena.room((at + n) * 4)
        const [index, value, row] = [room(), room(), room()]
        const [fromAt, toAt, need] = [arena.room(rows * 4), arena.room(rows * 4), arena.room(4)]
        kernels.collectAbove(p, m, rows, m, b, l, firstRow, at, at + n, index, value, row, fromAt, toAt, need)
        arena.check()
        expect([...arena.i32(index, at + n)].slice(at)).toEqual(expected.index)
        expect([...arena.f32(value, at + n)].slice(at)).toEqual(expected.value)
        expect([...arena.i32(row, at + n)].slice(at)).toEqual(expected.row)
        expect([...arena.i32(fromAt, rows)]).toEqual(expected.from)
        expect([...arena.i32(toAt, rows)]).toEqual(expected.to)
        expect([...arena.i32(need, 1)]).toEqual([n])
      }),
    )
  })

  test('writes nothing past its room and says how much it would have needed', () => {
    const arena = createArena()
    const [m, rows, room] = [37, 3, 20]
    const [p, zero] = [arena.put(new Float32Array(m * rows).fill(1)), arena.put(new Float32Array(m))]
    const [index, value, row] = [arena.room(room * 4), arena.room(room * 4), arena.room(room * 4)]
    const [from, to, need] = [arena.room(rows * 4), arena.room(rows * 4), arena.room(4)]
    kernels.collectAbove(p, m, rows, m, zero, zero, 0, 0, room, index, value, row, from, to, need)
    arena.check()
    expect([...arena.i32(need, 1)]).toEqual([m * rows])
    expect([...arena.i32(to, rows)]).toEqual([room, room, room])
  })
})

describe('decodeHits, decodeSpans and dotSpans', () => {
  const shape = fc.record({
    d: width,
    m: fc.integer({ min: 1, max: 60 }),
    rows: fc.integer({ min: 0, max: 6 }),
    share: fc.constantFrom(0, 0.1, 0.5, 1),
    own: fc.boolean(),
    seed,
  })
  type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

  function inputOf({ d, m, rows, share, own, seed: from }: Shape) {
    const random = uniform(from)
    const [index, from_, to]: number[][] = [[], [], []]
    for (let r = 0; r < rows; r++) {
      from_.push(index.length)
      for (let i = 0; i < m; i++) if (random() < share) index.push(i)
      to.push(index.length)
    }
    const value = floats(index.length, random)
    const wDec = floats(m * d, random)
    const init = floats((own ? rows : 1) * d, random)
    return {
      d,
      rows,
      index,
      value,
      from: from_,
      to,
      wDec,
      init,
      stride: own ? d : 0,
      y: floats(rows * d, random),
    }
  }

  test('agree with the oracle for rows of none to all latents, from one bias or a row each', () => {
    fc.assert(
      fc.property(shape, options => {
        const { d, rows, index, value, from, to, wDec, init, stride, y } = inputOf(options)
        const expected = oracle.decodeHits({
          index,
          value,
          from,
          to,
          d,
          wDec,
          y,
          init: (r, j) => init[r * stride + j],
        })
        const arena = createArena({ skew: 8 })
        const n = index.length
        const [i, v, f, t] = [Int32Array.from(index), value, Int32Array.from(from), Int32Array.from(to)].map(
          a => arena.put(a),
        )
        const [w, b, target] = [arena.put(wDec), arena.put(init), arena.put(y)]
        const [e, sq, g] = [arena.room(rows * d * 4), arena.room(rows * 8), arena.room(n * 4)]
        kernels.decodeHits(i, v, f, t, rows, w, d, b, stride, target, e, sq, g)
        const [xhat, dots] = [arena.room(rows * d * 4), arena.room(n * 4)]
        kernels.decodeSpans(i, v, f, t, rows, w, d, b, stride, xhat)
        kernels.dotSpans(e, i, f, t, rows, w, d, dots)
        arena.check()
        const spans = {
          index,
          value,
          from,
          to,
          d,
          wDec,
          init: (r: number, j: number) => init[r * stride + j],
        }
        expectClose(arena.f32(xhat, rows * d), oracle.decodeSpans(spans), { scale: 1 })
        expectClose(arena.f32(dots, n), oracle.dotSpans({ ...spans, e: expected.e }), { scale: Math.sqrt(d) })
        expectClose(arena.f32(e, rows * d), expected.e, { scale: 1 })
        expectClose(arena.f64(sq, rows), expected.sq, { scale: 1 })
        expectClose(arena.f32(g, n), expected.g, { scale: Math.sqrt(d) })
        expect([...arena.f32(dots, n)]).toEqual([...arena.f32(g, n)])
      }),
    )
  })

  test('a span cut at a latent and decoded in two goes has the bits of one', () => {
    fc.assert(
      fc.property(shape, fc.nat(), (options, cut) => {
        const { d, rows, index, value, from, to, wDec, init, stride } = inputOf(options)
        const arena = createArena()
        const [i, v, f, t] = [Int32Array.from(index), value, Int32Array.from(from), Int32Array.from(to)].map(
          a => arena.put(a),
        )
        const [w, b] = [arena.put(wDec), arena.put(init)]
        const [mid, whole, parts] = [arena.room(rows * 4), arena.room(rows * d * 4), arena.room(rows * d * 4)]
        const limit = cut % (options.m + 1)
        kernels.splitRows(i, f, t, rows, limit, mid)
        kernels.decodeSpans(i, v, f, t, rows, w, d, b, stride, whole)
        kernels.decodeSpans(i, v, f, mid, rows, w, d, b, stride, parts)
        kernels.decodeSpans(i, v, mid, t, rows, w, d, parts, d, parts)
        arena.check()
        expect([...arena.i32(mid, rows)]).toEqual(oracle.splitRows({ index, from, to, limit }))
        expect([...arena.f32(parts, rows * d)]).toEqual([...arena.f32(whole, rows * d)])
      }),
    )
  })

  test('a value of 0 adds nothing, not even where its decoder row is not finite; NaN is seen in its row alone', () => {
    const [d, rows] = [37, 3]
    const arena = createArena()
    const wDec = floats(4 * d, uniform(5))
    wDec.fill(Number.POSITIVE_INFINITY, d, 2 * d).fill(Number.NaN, 2 * d, 3 * d)
    const [index, value] = [Int32Array.of(0, 1, 2, 0, 3, 0), Float32Array.of(0.5, 0, -0, 0.5, Number.NaN, 1)]
    const [i, v] = [arena.put(index), arena.put(value)]
    const [from, to] = [arena.put(Int32Array.of(0, 3, 5)), arena.put(Int32Array.of(3, 5, 6))]
    const [w, bias, y] = [
      arena.put(wDec),
      arena.put(new Float32Array(d)),
      arena.put(floats(rows * d, uniform(6))),
    ]
    const [e, sq, g] = [arena.room(rows * d * 4), arena.room(rows * 8), arena.room(6 * 4)]
    kernels.decodeHits(i, v, from, to, rows, w, d, bias, 0, y, e, sq, g)
    arena.check()
    expect([...arena.f64(sq, rows)].map(Number.isFinite)).toEqual([true, false, true])
    expect([...arena.f32(e, rows * d)].map(Number.isNaN)).toEqual(
      Array.from({ length: rows * d }, (_, at) => Math.floor(at / d) === 1),
    )
    expect([...arena.f32(g, 6)].slice(3, 5).map(Number.isNaN)).toEqual([true, true])
    expect(Number.isFinite(arena.f32(g, 6)[5])).toBe(true)
  })

  test('scores are biased pre-activations times a factor, and back', () => {
    fc.assert(
      fc.property(width, seed, (m, from) => {
        const random = uniform(from)
        const [pre, bias] = [floats(m, random), floats(m, random)]
        const factor = floats(m, random).map(v => Math.abs(v) + 0.1)
        const arena = createArena({ skew: 4 })
        const [p, b, f] = [arena.put(pre), arena.put(bias), arena.put(factor)]
        kernels.scoreRows(p, 1, m, b, f)
        expectClose(arena.f32(p, m), oracle.scoreRows(pre, bias, factor), { tolerance: 1e-6 })
        const index = arena.put(Int32Array.from({ length: m }, (_, i) => m - 1 - i))
        const value = arena.put(arena.f32(p, m).reverse())
        kernels.unscoreHits(index, value, m, f)
        arena.check()
        expectClose(
          arena.f32(value, m).reverse(),
          pre.map((v, i) => v + bias[i]),
          { tolerance: 1e-6 },
        )
      }),
    )
  })
})

describe('finishGrads', () => {
  const shape = fc.record({
    dDec: fc.integer({ min: 2, max: 40 }),
    dEnc: fc.integer({ min: 1, max: 40 }),
    cut: fc.nat(),
    norms: fc.boolean(),
    outer: fc.boolean(),
    unit: fc.boolean(),
    scale: fc.constantFrom(1, 0.25),
    seed,
  })

  test('scales, adds the gradients of norms and what all rows share, projects, and sums squares', () => {
    fc.assert(
      fc.property(shape, ({ dDec, dEnc, cut, norms, outer, unit, scale, seed: from }) => {
        const random = uniform(from)
        const m = 5
        const middle = 1 + (cut % (dDec - 1))
        const segments = [
          [0, middle],
          [middle, dDec],
        ] as const
        const [dec, enc, bias] = [floats(m * dDec, random), floats(m * dEnc, random), floats(m, random)]
        const [wDec, coef, push, input] = [
          floats(m * dDec, random),
          floats(m, random),
          floats(m, random),
          floats(dEnc, random),
        ]
        push[2] = 0
        const touched = Uint8Array.from([1, 0, 0, 1, 1])
        for (let i = 0; i < m; i++) if (touched[i] === 0) bias[i] = 0
        const arena = createArena({ skew: 8 })
        const [gDec, gEnc, gBias, t] = [arena.put(dec), arena.put(enc), arena.put(bias), arena.put(touched)]
        const [w, c, o, x] = [arena.put(wDec), arena.put(coef), arena.put(push), arena.put(input)]
        const s = arena.put(Int32Array.from(segments.flat()))
        const sq = arena.room(m * 8)
        kernels.finishGrads(
          0,
          m,
          scale,
          norms ? c : 0,
          s,
          2,
          outer ? o : 0,
          x,
          Number(unit),
          w,
          dDec,
          dEnc,
          gDec,
          gEnc,
          gBias,
          t,
          sq,
        )
        arena.check()
        const row = (values: ArrayLike<number>, i: number, d: number) =>
          Array.from(values).slice(i * d, (i + 1) * d)
        for (let i = 0; i < m; i++) {
          const pushed = outer ? push[i] : 0
          const expected = oracle.finishGrads({
            dec: row(dec, i, dDec),
            enc: row(enc, i, dEnc),
            bias: bias[i],
            touched: touched[i] === 1,
            scale,
            coef: norms ? coef[i] : 0,
            segments,
            outer: pushed,
            input,
            unit,
            wDec: row(wDec, i, dDec),
          })
          expectClose(arena.f64(sq + i * 8, 1), [expected.squares], { scale: 1 })
          expect(arena.u8(t + i, 1)[0]).toBe(touched[i] === 1 || pushed !== 0 ? 1 : 0)
          if (touched[i] === 0 && pushed === 0) continue
          expectClose(row(arena.f32(gDec, m * dDec), i, dDec), expected.dec, { scale: 1 })
          expectClose(row(arena.f32(gEnc, m * dEnc), i, dEnc), expected.enc, { scale: 1 })
          expectClose([arena.f32(gBias, m)[i]], [expected.bias], { scale: 1 })
        }
      }),
    )
  })
})

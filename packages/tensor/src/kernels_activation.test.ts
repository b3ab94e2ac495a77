// Dense activations, their gradients and sums by latent, and the vector functions under them.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { type Arena, createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/activation.ts'

const shape = fc.record({ m: width, rows: fc.integer({ min: 0, max: 5 }), seed })
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

/** A matrix of entries [rows, m] and vectors of latents [m], in an arena; `sums` counts names to float32 sums. */
function scene({ m, rows, seed: from }: Shape) {
  const random = uniform(from)
  const arena = createArena({ skew: 8 })
  const positive = () => floats(m, random).map(v => Math.abs(v) + 0.05)
  const entries = () => floats(rows * m, random)
  const before = floats(m, random)
  const sum = () => arena.put(before)
  /** Kernel sums minus their initial values, against the oracle's by column. */
  const expectSum = (pointer: number, of: (r: number, i: number) => number) => {
    const found = arena.f32(pointer, m).map((v, i) => v - before[i])
    const expected = Array.from({ length: m }, (_, i) => {
      let total = 0
      for (let r = 0; r < rows; r++) total += of(r, i)
      return total
    })
    expectClose(found, expected, { scale: 1 })
  }
  return { arena, random, m, rows, positive, entries, sum, expectSum }
}

const table = (rows: number, m: number, of: (r: number, i: number) => number) =>
  Array.from({ length: rows * m }, (_, at) => of(Math.floor(at / m), at % m))

function expectCounts(
  arena: Arena,
  pointer: number,
  rows: number,
  m: number,
  fires: (r: number, i: number) => boolean,
) {
  const counts = Array.from({ length: rows }, (_, r) => {
    let n = 3
    for (let i = 0; i < m; i++) if (fires(r, i)) n++
    return n
  })
  expect([...arena.i32(pointer, rows)]).toEqual(counts)
}

describe('activations', () => {
  test('reluRows', () => {
    fc.assert(
      fc.property(shape, options => {
        const { arena, m, rows, entries, sum, expectSum, random } = scene(options)
        const [z, b] = [entries(), floats(m, random)]
        const [p, bias, fired, total] = [arena.put(z), arena.put(b), sum(), sum()]
        const counts = arena.put(new Int32Array(rows).fill(3))
        kernels.reluRows(p, rows, m, bias, fired, total, counts)
        arena.check()
        const of = (r: number, i: number) => oracle.reluRows(z[r * m + i], b[i])
        expectClose(
          arena.f32(p, rows * m),
          table(rows, m, (r, i) => of(r, i).f),
        )
        expectSum(fired, (r, i) => Number(of(r, i).f > 0))
        expectSum(total, (r, i) => of(r, i).f)
        expectCounts(arena, counts, rows, m, (r, i) => of(r, i).f > 0)
      }),
    )
  })

  test('jumpreluRows', () => {
    fc.assert(
      fc.property(shape, options => {
        const { arena, m, rows, entries, sum, expectSum, random, positive } = scene(options)
        const [z, b, theta] = [entries(), floats(m, random), positive()]
        const [p, bias, t, f, fired, total] = [
          arena.put(z),
          arena.put(b),
          arena.put(theta),
          arena.room(rows * m * 4),
          sum(),
          sum(),
        ]
        const counts = arena.put(new Int32Array(rows).fill(3))
        kernels.jumpreluRows(p, rows, m, bias, t, f, fired, total, counts)
        arena.check()
        const of = (r: number, i: number) =>
          oracle.jumpreluRows(Math.fround(z[r * m + i] + b[i]), 0, theta[i])
        expectClose(
          arena.f32(p, rows * m),
          table(rows, m, (r, i) => of(r, i).pi),
        )
        expectClose(
          arena.f32(f, rows * m),
          table(rows, m, (r, i) => of(r, i).f),
        )
        expectSum(fired, (r, i) => Number(of(r, i).f > 0))
        expectSum(total, (r, i) => of(r, i).f)
        expectCounts(arena, counts, rows, m, (r, i) => of(r, i).f > 0)
      }),
    )
  })

  test('gatedRows', () => {
    fc.assert(
      fc.property(shape, options => {
        const { arena, m, rows, entries, sum, expectSum, random, positive } = scene(options)
        const [z, b, er, bm] = [entries(), floats(m, random), positive(), floats(m, random)]
        const [p, bias, e, mag, f, fired, total] = [
          arena.put(z),
          arena.put(b),
          arena.put(er),
          arena.put(bm),
          arena.room(rows * m * 4),
          sum(),
          sum(),
        ]
        const counts = arena.put(new Int32Array(rows))
        kernels.gatedRows(p, rows, m, bias, e, mag, f, fired, total, counts)
        arena.check()
        const of = (r: number, i: number) => oracle.gatedRows(z[r * m + i], b[i], er[i], bm[i])
        expectClose(
          arena.f32(p, rows * m),
          table(rows, m, (r, i) => of(r, i).pi),
          { scale: 1 },
        )
        expectClose(
          arena.f32(f, rows * m),
          table(rows, m, (r, i) => of(r, i).f),
          { scale: 1 },
        )
        expectSum(total, (r, i) => of(r, i).f)
      }),
    )
  })
})

describe('gradients', () => {
  test('reluBack and powerBack, in place of the dots too', () => {
    fc.assert(
      fc.property(shape, fc.constantFrom(1, 0.7, 0.2), (options, p) => {
        const { arena, m, rows, entries, sum, expectSum, positive } = scene(options)
        const d = entries()
        const f = entries().map(v => (v > 0 ? v + 0.01 : 0))
        const pen = positive()
        const [dots, at, coef, gSum, power, gSum2] = [
          arena.put(d),
          arena.put(f),
          arena.put(pen),
          sum(),
          sum(),
          sum(),
        ]
        const g = arena.room(rows * m * 4)
        kernels.powerBack(dots, at, rows, m, 0.5, coef, p, g, gSum2, power)
        kernels.reluBack(dots, at, rows, m, 0.5, coef, dots, gSum)
        arena.check()
        const at2 = (r: number, i: number) => [0.5 * d[r * m + i], f[r * m + i], pen[i]] as const
        const one = (r: number, i: number) => oracle.reluBack(...at2(r, i))
        const raised = (r: number, i: number) => oracle.powerBack(...at2(r, i), p).power
        const lp = (r: number, i: number) => oracle.powerBack(...at2(r, i), p).g
        expectClose(arena.f32(dots, rows * m), table(rows, m, one), { scale: 1 })
        expectSum(gSum, one)
        expectClose(arena.f32(g, rows * m), table(rows, m, lp), { scale: 1 })
        expectSum(power, raised)
      }),
    )
  })

  test('jumpreluBack with every term on and off', () => {
    const terms = fc.record({
      tanh: fc.boolean(),
      pre: fc.boolean(),
      toInput: fc.boolean(),
      step: fc.constantFrom(0, 0.3),
    })
    fc.assert(
      fc.property(shape, terms, (options, { tanh, pre, toInput, step }) => {
        const { arena, m, rows, entries, sum, expectSum, positive } = scene(options)
        const [d, pi, theta, pen, norm] = [entries(), entries(), positive(), positive(), positive()]
        const push = positive().map((v, i) => (i % 2 === 0 ? v : 0))
        const [epsilon, scale, stretch] = [0.5, 0.25, tanh ? 4 : 0]
        const [dots, p, t, coef, n, q] = [d, pi, theta, pen, norm, push].map(a => arena.put(a))
        const [gSum, tSum, hSum, nSum, aSum] = [sum(), sum(), sum(), sum(), sum()]
        kernels.jumpreluBack(
          dots,
          p,
          rows,
          m,
          scale,
          t,
          epsilon,
          step,
          tanh ? coef : 0,
          n,
          stretch,
          pre ? q : 0,
          Number(toInput),
          p,
          gSum,
          tSum,
          hSum,
          nSum,
          aSum,
        )
        arena.check()
        const of = (r: number, i: number) =>
          oracle.jumpreluBack({
            u: scale * d[r * m + i],
            pi: pi[r * m + i],
            theta: theta[i],
            epsilon,
            step,
            pen: tanh ? pen[i] : 0,
            norm: norm[i],
            stretch,
            pre: pre ? push[i] : 0,
            toInput,
          })
        // A point on the window's edge in float32 may be on the other side in float64.
        const edge = pi.some((v, at) => Math.abs(Math.abs(v - theta[at % m]) - epsilon / 2) < 1e-6)
        if (edge) return
        expectClose(
          arena.f32(p, rows * m),
          table(rows, m, (r, i) => of(r, i).g),
          { scale: 1 },
        )
        expectSum(gSum, (r, i) => of(r, i).g)
        expectSum(tSum, (r, i) => of(r, i).threshold)
        if (tanh) expectSum(hSum, (r, i) => of(r, i).tanh)
        if (tanh) expectSum(nSum, (r, i) => of(r, i).norm)
        if (pre) expectSum(aSum, (r, i) => of(r, i).open)
      }),
    )
  })

  test('gatedBack', () => {
    fc.assert(
      fc.property(shape, options => {
        const { arena, m, rows, entries, sum, expectSum, positive, random } = scene(options)
        const [d, d2, pi, b, er, pen] = [
          entries(),
          entries(),
          entries(),
          floats(m, random),
          positive(),
          positive(),
        ]
        const f = pi.map(v => (v > 0.3 ? v : 0))
        const [a, a2, p, at, bias, e, coef] = [d, d2, pi, f, b, er, pen].map(values => arena.put(values))
        const [gSum, gate, mag, scaled, piSum] = [sum(), sum(), sum(), sum(), sum()]
        kernels.gatedBack(a, a2, p, at, rows, m, 0.5, bias, e, coef, p, gSum, gate, mag, scaled, piSum)
        arena.check()
        const of = (r: number, i: number) => {
          const k = r * m + i
          return oracle.gatedBack({
            u: 0.5 * d[k],
            u2: 0.5 * d2[k],
            pi: pi[k],
            f: f[k],
            b: b[i],
            er: er[i],
            pen: pen[i],
          })
        }
        expectClose(
          arena.f32(p, rows * m),
          table(rows, m, (r, i) => of(r, i).g),
          { scale: 1 },
        )
        expectSum(gSum, (r, i) => of(r, i).g)
        expectSum(gate, (r, i) => of(r, i).gate)
        expectSum(mag, (r, i) => of(r, i).magnitude)
        expectSum(scaled, (r, i) => of(r, i).scale)
        expectSum(piSum, (r, i) => of(r, i).pi)
      }),
    )
  })
})

describe('vector functions', () => {
  test('exp is right to 3e-7 over its range, and ends in 0 and infinity', () => {
    const x = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) * 0.0435)
    const arena = createArena()
    const [at, out] = [arena.put(x), arena.room(x.length * 4)]
    kernels.expRange(at, x.length, out)
    arena.check()
    const found = arena.f32(out, x.length)
    for (let i = 0; i < x.length; i++) {
      const exact = oracle.expRange(x[i])
      if (Math.abs(x[i]) < 87) expect(Math.abs(found[i] / exact - 1)).toBeLessThan(3e-7)
    }
    const ends = arena.put(Float32Array.of(-100, 100, 0))
    kernels.expRange(ends, 3, ends)
    expect([...arena.f32(ends, 3)]).toEqual([0, Number.POSITIVE_INFINITY, 1])
  })
})

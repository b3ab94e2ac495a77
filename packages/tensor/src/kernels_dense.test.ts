// Adam, norms, centring and ranges against the oracle.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, rowCount, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { type Arena, createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

const shape = fc.record({ d: width, rows: rowCount, seed })

describe('adamRows', () => {
  const settings = fc.record({
    d: width,
    rows: fc.integer({ min: 1, max: 6 }),
    steps: fc.integer({ min: 1, max: 6 }),
    beta2: fc.constantFrom(0.999, 0.99),
    clipScale: fc.constantFrom(1, 0.125, 0.3),
    withTouched: fc.boolean(),
    unitNorm: fc.boolean(),
    cut: fc.nat(),
    seed,
  })
  type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never

  /** Runs the steps on kernel and oracle; `cut` splits the rows between two calls. */
  function train({ d, rows, steps, beta2, clipScale, withTouched, unitNorm, cut, seed: from }: Settings) {
    const random = uniform(from)
    const start = floats(rows * d, random)
    const arena = createArena({ skew: 8 })
    const param = arena.put(start)
    const [m, v] = [arena.put(new Float32Array(rows * d)), arena.put(new Float32Array(rows * d))]
    const grad = arena.room(rows * d * 4)
    const touched = withTouched ? arena.room(rows) : 0
    const state = {
      param: Float64Array.from(start),
      m: new Float64Array(rows * d),
      v: new Float64Array(rows * d),
    }
    for (let step = 1; step <= steps; step++) {
      const marks = Uint8Array.from({ length: rows }, () => Number(random() < 0.6))
      const gradient = floats(rows * d, random)
      arena.write(grad, gradient)
      if (withTouched) arena.write(touched, marks)
      const rates = {
        learningRate: 3e-3,
        beta1: 0.9,
        beta2,
        epsilon: 1e-8,
        correction1: 1 - 0.9 ** step,
        correction2: 1 - beta2 ** step,
        clipScale,
      }
      const middle = cut % (rows + 1)
      for (const [lo, hi] of [
        [0, middle],
        [middle, rows],
      ]) {
        kernels.adamRows(param, grad, m, v, touched, lo, hi, d, ...Object.values(rates), Number(unitNorm))
      }
      oracle.adamRows({
        ...state,
        ...rates,
        grad: gradient,
        touched: withTouched ? marks : undefined,
        lo: 0,
        hi: rows,
        d,
        unitNorm,
      })
    }
    arena.check()
    const at = (pointer: number) => arena.f32(pointer, rows * d)
    return { actual: { param: at(param), m: at(m), v: at(v) }, expected: state }
  }

  test('agrees with the oracle over several steps', () => {
    fc.assert(
      fc.property(settings, options => {
        const { actual, expected } = train(options)
        expectClose(actual.m, expected.m, { tolerance: 2e-6 })
        expectClose(actual.v, expected.v, { tolerance: 2e-6 })
        expectClose(actual.param, expected.param, { tolerance: 2e-6 })
      }),
      { numRuns: 200 },
    )
  })

  test('rows come out the same however they are shared out', () => {
    fc.assert(
      fc.property(settings, options => {
        expect(train(options).actual).toEqual(train({ ...options, cut: 0 }).actual)
      }),
    )
  })

  test('a gradient that is never written is not read where the row is untouched', () => {
    const arena = createArena()
    const param = arena.put(Float32Array.of(1, 2, 3, 4, 5))
    const [m, v] = [arena.put(new Float32Array(5)), arena.put(new Float32Array(5))]
    const grad = arena.put(new Float32Array(5).fill(Number.NaN))
    const touched = arena.put(Uint8Array.of(0))
    kernels.adamRows(param, grad, m, v, touched, 0, 1, 5, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 1, 0)
    expect([...arena.f32(param, 5)]).toEqual([1, 2, 3, 4, 5])
    expect([...arena.f32(v, 5)]).toEqual([0, 0, 0, 0, 0])
  })

  test('a NaN gradient reaches its parameter', () => {
    const arena = createArena()
    const param = arena.put(Float32Array.of(1, 2, 3, 4, 5))
    const [m, v] = [arena.put(new Float32Array(5)), arena.put(new Float32Array(5))]
    const grad = arena.put(Float32Array.of(0, Number.NaN, 0, 0, Number.NaN))
    kernels.adamRows(param, grad, m, v, 0, 0, 1, 5, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.001, 1, 1)
    expect([...arena.f32(param, 5)]).toEqual([1, Number.NaN, 3, 4, Number.NaN])
  })
})

describe('row kernels', () => {
  /** Puts x into a fresh arena and returns the `bytes` that `call` wrote. */
  function run<T>(x: Float32Array, bytes: number, call: (x: number, out: number, arena: Arena) => T): T {
    const arena = createArena({ skew: 8 })
    const at = arena.put(x)
    const result = call(at, arena.room(bytes), arena)
    arena.check()
    return result
  }

  test('normaliseRows gives unit rows in any split, and leaves rows of zeros and of NaN', () => {
    fc.assert(
      fc.property(shape, fc.nat(), ({ d, rows, seed: from }, cut) => {
        const w = floats(rows * d, uniform(from))
        if (rows > 1) w.fill(0, 0, d)
        if (rows > 2) w[2 * d - 1] = Number.NaN
        const expected = Float64Array.from(w)
        oracle.normaliseRows({ w: expected, lo: 0, hi: rows, d })
        const normalise = (bounds: number[]) =>
          run(w, 0, (at, _, arena) => {
            for (let i = 0; i + 1 < bounds.length; i++) kernels.normaliseRows(at, bounds[i], bounds[i + 1], d)
            return arena.f32(at, rows * d)
          })
        const whole = normalise([0, rows])
        expectClose(whole, expected, { tolerance: 1e-6 })
        expect(normalise([0, cut % (rows + 1), rows])).toEqual(whole)
      }),
    )
  })

  test('rows too long and too short for a float32 square are normalised', () => {
    for (const size of [1e30, 1e-30]) {
      const w = Float32Array.of(3 * size, 0, 0, 0, 4 * size)
      const rows = run(w, 0, (at, _, arena) => {
        kernels.normaliseRows(at, 0, 1, 5)
        return arena.f32(at, 5)
      })
      expectClose(rows, [0.6, 0, 0, 0, 0.8], { tolerance: 1e-6 })
    }
  })

  test('centreRows subtracts, also in place', () => {
    fc.assert(
      fc.property(shape, ({ d, rows, seed: from }) => {
        const random = uniform(from)
        const [x, b] = [floats(rows * d, random), floats(d, random)]
        const expected = Float32Array.from(oracle.centreRows({ x, b, rows, d }))
        const apart = run(x, rows * d * 4, (at, out, arena) => {
          kernels.centreRows(at, arena.put(b), rows, d, out)
          return arena.f32(out, rows * d)
        })
        const inPlace = run(x, 0, (at, _, arena) => {
          kernels.centreRows(at, arena.put(b), rows, d, at)
          return arena.f32(at, rows * d)
        })
        expect(apart).toEqual(expected)
        expect(inPlace).toEqual(expected)
      }),
    )
  })

  test('rowNorms and maxAbsRows agree with the oracle, NaN and ∞ included', () => {
    fc.assert(
      fc.property(shape, ({ d, rows, seed: from }) => {
        const random = uniform(from)
        const x = floats(rows * d, random)
        if (rows > 1) x[Math.floor(random() * d)] = Number.NaN
        if (rows > 2) x[d + Math.floor(random() * d)] = Number.NEGATIVE_INFINITY
        const norms = run(x, rows * 8, (at, out, arena) => {
          kernels.rowNorms(at, rows, d, out)
          return arena.f64(out, rows)
        })
        expectClose(norms, oracle.rowNorms({ x, rows, d }), { tolerance: 1e-12 })
        const most = run(x, rows * 4, (at, out, arena) => {
          kernels.maxAbsRows(at, rows, d, out)
          return arena.f32(out, rows)
        })
        expect([...most]).toEqual([...oracle.maxAbsRows({ x, rows, d })])
      }),
    )
  })

  test('scaleRange and addRange agree with the oracle', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70 }), seed, (n, from) => {
        const random = uniform(from)
        const [a, b, s] = [floats(n, random), floats(n, random), Math.fround(random() - 0.5)]
        const scaled = run(a, 0, (at, _, arena) => {
          kernels.scaleRange(at, n, s)
          return arena.f32(at, n)
        })
        expect(scaled).toEqual(Float32Array.from(oracle.scaleRange({ x: a, n, s })))
        const sum = run(a, 0, (at, _, arena) => {
          kernels.addRange(at, arena.put(b), n)
          return arena.f32(at, n)
        })
        expect(sum).toEqual(Float32Array.from(oracle.addRange({ a, b, n })))
      }),
    )
  })
})

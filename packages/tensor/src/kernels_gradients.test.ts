// Lists of hits and the gradients of both weight matrices against the oracle.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, integers, keptValues, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'

const hits = fc.record({
  n: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 300 })),
  m: fc.integer({ min: 1, max: 40 }),
  seed,
})

describe('buildLists', () => {
  test('list the positions of each latent in ascending order, zeros left out if asked', () => {
    fc.assert(
      fc.property(hits, fc.boolean(), ({ n, m, seed: from }, skipZero) => {
        const random = uniform(from)
        const input = { n, m, index: integers(n, m, random), value: keptValues(n, random), skipZero }
        if (n > 3) input.value[n >> 1] = Number.NaN
        const arena = createArena({ skew: 4 })
        const at = { index: arena.put(input.index), value: arena.put(input.value) }
        const expected = oracle.buildLists(input)
        const starts = arena.room((m + 1) * 4)
        const entries = arena.room(expected.entries.length * 4)
        kernels.buildLists(at.index, at.value, n, m, skipZero ? 1 : 0, starts, entries)
        arena.check()
        expect(arena.i32(starts, m + 1)).toEqual(expected.starts)
        expect(arena.i32(entries, expected.entries.length)).toEqual(expected.entries)
      }),
    )
  })
})

const shape = fc.record({
  d: width,
  rows: fc.integer({ min: 0, max: 30 }),
  k: fc.integer({ min: 1, max: 6 }),
  kAux: fc.integer({ min: 1, max: 4 }),
  m: fc.integer({ min: 1, max: 12 }),
  withAux: fc.boolean(),
  parallel: fc.boolean(),
  seed,
})
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

/** Hits with duplicates of a latent within a row; latents past the middle are dead if there is an AuxK part. */
function inputOf({ d, rows, k, kAux, m, withAux, parallel, seed: from }: Shape) {
  const random = uniform(from)
  const dead = withAux ? Math.ceil(m / 2) : 0
  const part = (width: number, latents: number) => {
    const n = rows * width
    const value = keptValues(n, random)
    const index = integers(n, latents, random)
    const lists = oracle.buildLists({ index, value, n, m: latents, skipZero: true })
    const scale = Math.fround(random())
    return { ...lists, k: width, value, g: floats(n, random), e: floats(rows * d, random), scale }
  }
  const slot = Int32Array.from({ length: m }, (_, i) => (i < m - dead ? -1 : i - (m - dead)))
  return {
    d,
    m,
    main: part(k, m),
    aux: dead > 0 ? { ...part(kAux, dead), slot } : undefined,
    xc: floats(rows * d, random),
    wDec: parallel ? floats(m * d, random) : undefined,
  }
}
type Input = ReturnType<typeof inputOf>

/** `sides`: those of one pass over all latents, then of the next. */
function weightGrads(
  { d, m, main, aux, xc, wDec }: Input,
  cuts: number[] = [],
  listed = false,
  sides: readonly number[] = [3],
) {
  const arena = createArena({ skew: 8 })
  /** The same rows as k hits each, as a list. */
  const rowsOfHits = (k: number, n: number) =>
    arena.put(Int32Array.from({ length: n }, (_, p) => Math.floor(p / k)))
  const put = ({ starts, entries, value, g, e }: Input['main']) => ({
    starts: arena.put(starts),
    entries: arena.put(entries),
    value: arena.put(value),
    g: arena.put(g),
    e: arena.put(e),
  })
  const a = put(main)
  const b = aux === undefined ? { starts: 0, entries: 0, value: 0, g: 0, e: 0 } : put(aux)
  const slot = aux === undefined ? 0 : arena.put(aux.slot)
  const [x, w] = [arena.put(xc), wDec === undefined ? 0 : arena.put(wDec)]
  const [dec, enc] = [arena.room(m * d * 4), arena.room(m * d * 4)]
  const [bias, touched, sq] = [arena.room(m * 4), arena.room(m), arena.room(m * 8)]
  const bounds = [0, ...cuts.map(cut => cut % (m + 1)).sort((p, q) => p - q), m]
  const passes = sides.flatMap(side => bounds.slice(1).map((end, i) => ({ side, from: bounds[i], end })))
  for (const { side, from, end } of passes) {
    kernels.weightGrads(
      from,
      end,
      a.starts,
      a.entries,
      listed ? rowsOfHits(main.k, main.value.length) : 0,
      main.k,
      a.value,
      a.g,
      a.e,
      main.scale,
      slot,
      b.starts,
      b.entries,
      0,
      aux?.k ?? 1,
      b.value,
      b.g,
      b.e,
      aux?.scale ?? 0,
      x,
      d,
      d,
      w,
      dec,
      enc,
      bias,
      touched,
      sq,
      side,
    )
  }
  arena.check()
  const marks = arena.u8(touched, m)
  // Rows without a hit are not written: Adam reads `touched` instead.
  const rowsOf = (pointer: number) =>
    arena.f32(pointer, m * d).map((v, p) => (marks[Math.floor(p / d)] === 0 ? 0 : v))
  return {
    gDec: rowsOf(dec),
    gEnc: rowsOf(enc),
    gBEnc: arena.f32(bias, m),
    touched: marks,
    sq: arena.f64(sq, m),
  }
}

describe('weightGrads', () => {
  test('agrees with the oracle, with and without AuxK and the removal of the parallel part', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf(options)
        const actual = weightGrads(input)
        const expected = oracle.weightGrads({ ...input, lo: 0, hi: input.m })
        expect(actual.touched).toEqual(expected.touched)
        expectClose(actual.gDec, expected.gDec, { scale: 1 })
        expectClose(actual.gEnc, expected.gEnc, { scale: 1 })
        expectClose(actual.gBEnc, expected.gBEnc, { scale: 1 })
        expectClose(actual.sq, expected.sq)
      }),
      { numRuns: 300 },
    )
  })

  test('long lists take every stretch of eight, four, two and one', () => {
    for (let rows = 1; rows <= 33; rows++) {
      const input = inputOf({ d: 19, rows, k: 1, kAux: 1, m: 2, withAux: true, parallel: true, seed: rows })
      const expected = oracle.weightGrads({ ...input, lo: 0, hi: 2 })
      const { gDec, gEnc } = weightGrads(input)
      expectClose(gDec, expected.gDec, { scale: 1 })
      expectClose(gEnc, expected.gEnc, { scale: 1 })
    }
  })

  test('lists too long for the cache are summed a block of rows at a time', () => {
    // 131,072 / d rows per block; few latents share many rows, so lists pass 128 hits.
    for (const [d, k, m, withAux] of [
      [1_030, 1, 3, true],
      [1_031, 2, 2, false],
      [16_385, 1, 1, false],
      [5, 1, 4, true],
    ] as const) {
      const rows = d > 10_000 ? 130 : 400
      const input = inputOf({ d, rows, k, kAux: 1, m, withAux, parallel: true, seed: d })
      const whole = weightGrads(input)
      const expected = oracle.weightGrads({ ...input, lo: 0, hi: m })
      expect(whole.touched).toEqual(expected.touched)
      expectClose(whole.gDec, expected.gDec)
      expectClose(whole.gEnc, expected.gEnc)
      expectClose(whole.gBEnc, expected.gBEnc, { scale: 1 })
      expectClose(whole.sq, expected.sq)
      expect(weightGrads(input, [1])).toEqual(whole)
      expect(weightGrads(input, [1], false, [1, 2])).toEqual(whole)
    }
  })

  test('rows given as a list are those of k hits to each', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf(options)
        expect(weightGrads(input, [], true)).toEqual(weightGrads(input))
      }),
    )
  })

  test('latents come out the same however they are shared out', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.nat(), { maxLength: 4 }), (options, cuts) => {
        const input = inputOf(options)
        expect(weightGrads(input, cuts)).toEqual(weightGrads(input))
      }),
    )
  })

  test('one side after the other is both at once', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.nat(), { maxLength: 2 }), (options, cuts) => {
        const input = inputOf(options)
        expect(weightGrads(input, cuts, false, [1, 2])).toEqual(weightGrads(input))
      }),
    )
  })

  test('what is left of the gradient stands upright on the decoder row', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf({ ...options, d: options.d + 1, parallel: true })
        const { gDec } = weightGrads(input)
        const { d, m, wDec } = input
        for (let i = 0; i < m; i++) {
          let along = 0
          for (let j = 0; j < d; j++) along += gDec[i * d + j] * wDec![i * d + j]
          expect(Math.abs(along)).toBeLessThan(1e-4 * Math.sqrt(d))
        }
      }),
    )
  })

  test('a decoder row of zeros or with a NaN removes nothing', () => {
    const input = inputOf({ d: 9, rows: 12, k: 2, kAux: 1, m: 2, withAux: false, parallel: false, seed: 3 })
    const plain = weightGrads(input)
    for (const fill of [0, Number.NaN]) {
      expect(weightGrads({ ...input, wDec: new Float32Array(18).fill(fill) })).toEqual(plain)
    }
  })

  test('a row that is not finite spoils only the latents that fired on it', () => {
    fc.assert(
      fc.property(shape, options => {
        const input = inputOf({ ...options, rows: options.rows + 1, withAux: false, parallel: false })
        const { d, m, main, xc } = input
        const clean = weightGrads(input)
        xc.fill(Number.NaN, 0, d)
        main.e.fill(Number.POSITIVE_INFINITY, 0, d)
        const spoiled = weightGrads(input)
        for (let i = 0; i < m; i++) {
          const list = [...main.entries.subarray(main.starts[i], main.starts[i + 1])]
          const hit = list.some(p => p < main.k)
          const row = (all: Float32Array) => [...all.subarray(i * d, (i + 1) * d)]
          if (hit) expect(row(spoiled.gEnc).some(Number.isFinite)).toBe(false)
          else expect(row(spoiled.gEnc)).toEqual(row(clean.gEnc))
          if (hit) expect(row(spoiled.gDec).some(Number.isFinite)).toBe(false)
          else expect(row(spoiled.gDec)).toEqual(row(clean.gDec))
        }
      }),
    )
  })

  test('the squared norm of huge and of tiny gradients is finite and not 0', () => {
    for (const size of [1e25, 1e-30]) {
      const input = inputOf({ d: 6, rows: 4, k: 1, kAux: 1, m: 1, withAux: false, parallel: false, seed: 8 })
      input.main.e.fill(Math.fround(size))
      const { sq } = weightGrads(input)
      const expected = oracle.weightGrads({ ...input, lo: 0, hi: 1 }).sq
      expectClose(sq, expected)
    }
  })
})

// The encoder's kernels against the oracle.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
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

describe('normaliseSpan and restoreSpan', () => {
  const shape = fc.record({
    d: width,
    pad: fc.integer({ min: 0, max: 9 }),
    rows: rowCount,
    kind: fc.constantFrom('token_rms' as const, 'layer_norm' as const),
    seed,
  })

  test('normalise the columns they are given, and undo it', () => {
    fc.assert(
      fc.property(shape, ({ d, pad, rows, kind, seed: from }) => {
        const random = uniform(from)
        const ld = d + pad
        const x = floats(rows * ld, random).map(value => 3 * value + 1)
        if (rows > 2) x.fill(0, ld, 2 * ld)
        const arena = createArena({ skew: 4 })
        const at = arena.put(x)
        const stats = arena.room(rows * 8)
        kernels.normaliseSpan(at, rows, ld, d, kind === 'token_rms' ? 1 : 2, stats)
        arena.check()
        const wanted = oracle.normaliseSpan({ x, rows, ld, d, kind })
        // A row of one equal number: its σ is rounding error, and so are quotients by it.
        const scale = kind === 'layer_norm' && d === 1 ? 1 : 0
        expectClose(arena.f32(at, x.length), wanted.out, { scale })
        expectClose(arena.f32(stats, rows * 2), wanted.stats)
        const kept = arena.f32(at, x.length)
        kernels.restoreSpan(at, rows, ld, d, stats)
        arena.check()
        const restored = oracle.restoreSpan({ x: kept, rows, ld, d, stats: arena.f32(stats, rows * 2) })
        expectClose(arena.f32(at, x.length), restored)
      }),
    )
  })
})

const lists = fc.record({ m: width, share: fc.double({ min: 0, max: 1, noNaN: true }), rows: rowCount, seed })

describe('packRows', () => {
  test('drops what does not fire and keeps NaN', () => {
    fc.assert(
      fc.property(lists, ({ m, share, rows, seed: from }) => {
        const random = uniform(from)
        const k = Math.max(1, Math.floor(share * m))
        const index = selections(rows, k, m, random)
        const value = keptValues(rows * k, random)
        if (value.length > 2) value[1] = Number.NaN
        const arena = createArena({ skew: 4 })
        const at = { index: arena.put(index), value: arena.put(value) }
        const starts = arena.room((rows + 1) * 4)
        kernels.packRows(at.index, at.value, rows, k, starts)
        arena.check()
        const wanted = oracle.packRows({ index, value, rows, k })
        const hits = wanted.index.length
        expect(arena.i32(starts, rows + 1)).toEqual(wanted.starts)
        expect(arena.i32(at.index, hits)).toEqual(wanted.index)
        expect(arena.f32(at.value, hits)).toEqual(wanted.value)
      }),
    )
  })
})

describe('gateSpans', () => {
  test('keeps the open latents whose magnitude is positive', () => {
    fc.assert(
      fc.property(lists, ({ m, share, rows, seed: from }) => {
        const random = uniform(from)
        const k = Math.max(1, Math.floor(share * m))
        const hits = oracle.packRows({
          index: selections(rows, k, m, random),
          value: keptValues(rows * k, random),
          rows,
          k,
        })
        const ld = m + 3
        const z = floats(rows * ld, random)
        if (hits.index.length > 0) z[hits.index[0]] = Number.NaN
        const er = floats(m, random).map(Math.exp)
        const bMag = floats(m, random)
        const arena = createArena({ skew: 4 })
        const at = {
          z: arena.put(z),
          er: arena.put(er),
          bMag: arena.put(bMag),
          starts: arena.put(hits.starts),
          index: arena.put(hits.index),
          value: arena.put(hits.value),
        }
        kernels.gateSpans(at.z, ld, rows, at.er, at.bMag, at.starts, at.index, at.value)
        arena.check()
        const wanted = oracle.gateSpans({ z, ld, hits, er, bMag })
        // A magnitude within rounding of 0 may fall on either side.
        const near = Array.from({ length: rows * m }, (_, i) => {
          const r = Math.floor(i / m)
          return Math.abs(z[r * ld + (i % m)] * er[i % m] + bMag[i % m])
        }).some(value => value > 0 && value < 1e-6)
        fc.pre(!near)
        expect(arena.i32(at.starts, rows + 1)).toEqual(wanted.starts)
        expect(arena.i32(at.index, wanted.index.length)).toEqual(wanted.index)
        expectClose(arena.f32(at.value, wanted.value.length), wanted.value, { scale: 1 })
      }),
    )
  })
})

describe('decodeLists', () => {
  const shape = fc.record({
    d: width,
    m: fc.integer({ min: 1, max: 300 }),
    rows: rowCount,
    share: fc.constantFrom(0, 0.05, 0.5, 1),
    own: fc.boolean(),
    seed,
  })

  test('sums decoder rows by spans, with the bits of decodeSpans however long they are', () => {
    fc.assert(
      fc.property(shape, ({ d, m, rows, share, own, seed: from }) => {
        const random = uniform(from)
        const starts = new Int32Array(rows + 1)
        const index: number[] = []
        for (let r = 0; r < rows; r++) {
          for (let i = 0; i < m; i++) if (random() < share) index.push(i)
          starts[r + 1] = index.length
        }
        const value = floats(index.length, random)
        const wDec = floats(m * d, random)
        const init = floats((own ? rows : 1) * d, random)
        const arena = createArena({ skew: 4 })
        const spans = arena.put(starts)
        const before = [arena.put(Int32Array.from(index)), arena.put(value), spans, spans + 4, rows]
        const [w, b] = [arena.put(wDec), arena.put(init)]
        const [lists, plain] = [arena.room(rows * d * 4), arena.room(rows * d * 4)]
        kernels.decodeLists(...before, w, d, b, own ? d : 0, lists)
        kernels.decodeSpans(...before, w, d, b, own ? d : 0, plain)
        arena.check()
        expect(arena.f32(lists, rows * d)).toEqual(arena.f32(plain, rows * d))
        const hits = { starts, index: Int32Array.from(index), value }
        const wanted = oracle.decodeLists({ hits, wDec, d, init, own })
        expectClose(arena.f32(lists, rows * d), wanted, { scale: Math.sqrt(m) })
      }),
    )
  })
})

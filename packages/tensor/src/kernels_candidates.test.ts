// TopK's screened encode: what a cheap product lets through, block by block of latents, and that what it settles matches
// exact scores.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floats, rowCount, seed, uniform, width } from '../testing/kernel_arbitrary.ts'
import { createArena, expectClose, kernels } from '../testing/kernel_arena.ts'
import * as oracle from '../testing/kernel_oracle/index.ts'
import { candidateBytes, settleScratchBytes } from './kernels.ts'

type Encoded = {
  rows: number
  m: number
  d: number
  x: Float32Array
  w: Float32Array
  bias: Float32Array
  factor?: Float32Array
  /** The cheap product [rows, m], all blocks side by side. */
  pre: Float32Array
  scale: Float32Array
}
type Gathering = { k: number; probes: number; segments: number; rank: number; keep: number; cap: number }

/** Blocks of `piece` latents through both kernels. */
function run(given: Encoded, options: Gathering & { piece: number; spare: number }) {
  const { rows, m, d, x, w, bias, factor, pre, scale } = given
  const { k, probes, segments, rank, keep, cap, piece, spare } = options
  const arena = createArena({ skew: 4 })
  const [input, weights, b, s] = [x, w, bias, scale].map(arena.put)
  const f = factor === undefined ? 0 : arena.put(factor)
  const state = arena.room(candidateBytes(rows, cap))
  const scratch = arena.room(4 * (2048 + Math.max(cap + 16, 32 * segments)))
  for (let lo = 0; lo < m; lo += piece) {
    const length = Math.min(piece, m - lo)
    const part = Float32Array.from(
      { length: rows * length },
      (_, p) => pre[Math.floor(p / length) * m + lo + (p % length)],
    )
    const of = [weights + lo * d * 4, b + lo * 4, f === 0 ? 0 : f + lo * 4]
    const how = [probes, segments, rank, keep, cap, state, scratch]
    kernels.gatherCandidates(arena.put(part), rows, length, lo, s, input, d, ...of, ...how)
    arena.check()
  }
  const [floors, errors] = [arena.f32(state, rows), arena.f32(state + rows * 4, rows)]
  const counts = arena.i32(state + rows * 8, rows)
  const [latentsAt, stride] = [state + rows * 12, (cap + 16) * 4]
  const candidates = Array.from(counts, (n, r) =>
    Array.from(arena.i32(latentsAt + r * stride, Math.max(n, 0)), (latent, i) => ({
      latent,
      score: arena.f32(latentsAt + (rows + r) * stride, n)[i],
    })),
  )
  const gathered = { floors: floors.slice(), errors: errors.slice(), counts: counts.slice(), candidates }
  const [index, value, open] = [arena.room(rows * k * 4), arena.room(rows * k * 4), arena.room(4)]
  const room = arena.room(settleScratchBytes(rows, m, k, cap))
  const all = [rows, m, input, d, weights, b, f, k, cap, spare, state, index, value, open, room]
  kernels.settleCandidates(...all)
  arena.check()
  return {
    ...gathered,
    index: arena.i32(index, rows * k).slice(),
    value: arena.f32(value, rows * k).slice(),
    unsettled: arena.i32(open, 1)[0],
  }
}

const shape = fc.record({
  d: width,
  rows: rowCount,
  // From 128 latents per stretch there is an initial floor.
  m: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 250, max: 700 })),
  pieces: fc.integer({ min: 1, max: 3 }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  normed: fc.boolean(),
  seed,
})
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

/** Small integers, whose sums float32 holds: a selection has one answer, even with ties. Products are off by `off`, up or down. */
function integers({ d, rows, m, normed, seed: from }: Shape, off: number): Encoded {
  const random = uniform(from)
  const whole = (n: number, most: number) => floats(n, random).map(v => Math.round(v * most))
  const [x, w, bias] = [whole(rows * d, 3), whole(m * d, 2), whole(m, 2)]
  const factor = normed ? whole(m, 3).map(v => v + 4) : undefined
  const scale = whole(rows, 2).map(v => 2 ** v)
  const pre = Float32Array.from({ length: rows * m }, (_, p) => {
    const [r, i] = [Math.floor(p / m), p % m]
    let sum = 0
    for (let j = 0; j < d; j++) sum += x[r * d + j] * w[i * d + j]
    return (sum + (random() < 0.5 ? off : -off)) / scale[r]
  })
  return { rows, m, d, x, w, bias, factor, pre, scale }
}

/** Some 5k candidates, as learner/screen.ts in @mistudio/training requests them. */
function gathering({ m, share, pieces }: Shape): Gathering & { piece: number } {
  const k = 1 + Math.floor((share * (m - 1)) / 12)
  const keep = Math.min(m, Math.max(5 * k, 24))
  return {
    k,
    piece: Math.ceil(m / pieces),
    probes: 4,
    segments: 1,
    rank: Math.max(1, Math.round(32 * (1 - Math.exp(-keep / pieces / 32)))),
    keep,
    cap: Math.min(m, 2 * keep),
  }
}

test('gatherCandidates keeps all scores above the floor it names, by latent, and measures errors', () => {
  let cut = 0
  fc.assert(
    fc.property(shape, given => {
      const { rows, m } = given
      const random = uniform(given.seed + 1)
      const made = integers(given, 0)
      for (const values of [made.x, made.w, made.bias, made.pre]) values.set(floats(values.length, random))
      const options = gathering(given)
      const { floors, errors, counts, candidates } = run(made, { ...options, spare: 0 })
      const { scores } = oracle.gatherCandidates({ ...made, probes: 0 })
      const near = 1e-4 * Math.max(1, ...scores.map(Math.abs))
      for (let r = 0; r < rows; r++) {
        const of = candidates[r]
        const row = scores.subarray(r * m, (r + 1) * m)
        expect(counts[r]).toBeLessThanOrEqual(options.cap)
        of.forEach(({ latent, score }, i) => {
          if (i > 0) expect(latent).toBeGreaterThan(of[i - 1].latent)
          expect(Math.abs(score - row[latent])).toBeLessThan(near)
          expect(score).toBeGreaterThanOrEqual(floors[r])
        })
        const chosen = new Set(of.map(({ latent }) => latent))
        row.forEach((score, latent) => {
          if (!chosen.has(latent)) expect(score).toBeLessThanOrEqual(floors[r] + near)
        })
        if (of.length < m) cut++
      }
      const each = Array.from({ length: Math.ceil(m / options.piece) }, (_, b) => {
        const [lo, hi] = [b * options.piece, Math.min(m, (b + 1) * options.piece)]
        const columns = Float32Array.from(
          { length: rows * (hi - lo) },
          (_, p) => made.pre[Math.floor(p / (hi - lo)) * m + lo + (p % (hi - lo))],
        )
        return oracle.gatherCandidates({
          ...made,
          ...{ m: hi - lo, pre: columns, w: made.w.subarray(lo * made.d), bias: made.bias.subarray(lo) },
          ...{ factor: made.factor?.subarray(lo), probes: options.probes },
        }).errors
      })
      const wanted = Float64Array.from({ length: rows }, (_, r) => Math.max(...each.map(part => part[r])))
      expectClose(errors, wanted, { scale: Math.sqrt(made.d) * 8 })
    }),
    { numRuns: 200, seed: 3 },
  )
  expect(cut).toBeGreaterThan(100)
})

test('of normal scores some five times k are gathered, as asked', () => {
  const [rows, m, k, want] = [20, 4096, 16, 80]
  const random = uniform(9)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const pre = Float32Array.from({ length: rows * m }, normal)
  const flat = { d: 1, x: new Float32Array(rows), w: new Float32Array(m), bias: new Float32Array(m) }
  const scale = new Float32Array(rows).fill(1)
  const rank = Math.round(32 * (1 - Math.exp(-want / 4 / 32)))
  const how = { k, probes: 4, segments: 1, rank, keep: want, cap: 2 * want, piece: m / 4, spare: 0 }
  const { counts } = run({ rows, m, ...flat, pre, scale }, how)
  const mean = counts.reduce((sum, n) => sum + n, 0) / rows
  expect(mean).toBeGreaterThan(0.75 * want)
  expect(mean).toBeLessThan(1.35 * want)
})

describe('settleCandidates', () => {
  test('what it settles is what exact scores say, and with rows to spare it settles all', () => {
    const seen = { settled: 0, open: 0 }
    fc.assert(
      fc.property(shape, fc.constantFrom(0, 0.125, 0.5, 4), (given, off) => {
        const made = integers(given, off)
        const { d, k } = { ...made, ...gathering(given) }
        const wanted = oracle.settleCandidates({ ...made, k })
        const all = run(made, { ...gathering(given), spare: made.rows })
        expect(all.unsettled).toBe(0)
        expect(all.index).toEqual(wanted.index)
        expect(all.value).toEqual(wanted.value)
        for (let r = 0; r < made.rows; r++) {
          // Without spare rows; one row at a time, to know which.
          const row = {
            ...made,
            rows: 1,
            x: made.x.subarray(r * d, (r + 1) * d),
            pre: made.pre.subarray(r * made.m, (r + 1) * made.m),
            scale: made.scale.subarray(r, r + 1),
          }
          const { unsettled, index, value } = run(row, { ...gathering(given), spare: 0 })
          seen[unsettled ? 'open' : 'settled']++
          if (unsettled) continue
          expect(index).toEqual(wanted.index.slice(r * k, (r + 1) * k))
          expect(value).toEqual(wanted.value.slice(r * k, (r + 1) * k))
        }
      }),
      { numRuns: 300, seed: 5 },
    )
    expect(seen.settled).toBeGreaterThan(300)
    expect(seen.open).toBeGreaterThan(30)
  })

  /** One column: exact scores are the weights. 256 latents, in two blocks. */
  const m = 256
  const one = (w: Float32Array, pre: Float32Array): Encoded => ({
    ...{ rows: 1, m, d: 1, x: Float32Array.of(1), w, pre },
    ...{ bias: new Float32Array(m), scale: Float32Array.of(1) },
  })
  const how = { k: 2, piece: 128, probes: 4, segments: 1, rank: 8, keep: 24, cap: 48 }
  /** 0 … 255, the highest last, and off by 1/4 up and down in turn. */
  const ascending = Float32Array.from({ length: m }, (_, i) => i)
  const off = ascending.map((v, i) => v + (i % 2 ? 0.25 : -0.25))

  test('latents that all lie above the first block’s floor: the highest stay', () => {
    const found = run(one(ascending, off), { ...how, spare: 0 })
    expect(found.counts[0]).toBeLessThanOrEqual(how.cap)
    expect(found.floors[0]).toBeGreaterThan(128)
    expect(found).toMatchObject({ unsettled: 0, index: Int32Array.of(254, 255) })
  })

  test('a floor that is too high, because all that is high is in the first block, leaves the row to exact scores', () => {
    const w = ascending.map((_, i) => (i < 128 ? 100 + i : 10))
    w[200] = 226.5
    const pre = w.map((v, i) => v + (i % 2 ? 4 : -4))
    const rank = { ...how, rank: 1 }
    expect(run(one(w, pre), { ...rank, spare: 0 }).unsettled).toBe(1)
    expect(run(one(w, pre), { ...rank, spare: 1 })).toMatchObject({
      unsettled: 0,
      index: Int32Array.of(127, 200),
      value: Float32Array.of(227, 226.5),
    })
  })

  test('a score above its cheap one by more than the margin settles nothing', () => {
    const pre = off.slice()
    pre[255] = 252.5
    expect(run(one(ascending, pre), { ...how, spare: 0 }).unsettled).toBe(1)
    pre[255] = 254.25
    expect(run(one(ascending, pre), { ...how, spare: 0 }).unsettled).toBe(0)
  })

  test('candidates that are not scored may be among the k: the floor rises to them, and the row stays open', () => {
    // Errors of 1/4 on the probes make a margin of 1. Cheap scores are off by less, and their order is wrong: the
    // highest latent lies more than a margin and a half below the k-th and is not scored.
    const w = ascending.map(v => v / 64)
    const pre = w.map(v => v + 0.25)
    const put = (latent: number, cheap: number, exact: number) => {
      pre[latent] = cheap
      w[latent] = exact
    }
    for (const latent of [201, 203]) put(latent, 10, 9.125)
    for (const latent of [205, 206, 207, 209]) put(latent, 9.90625, 8.5)
    put(211, 8.25, 9.1875)
    const open = run(one(w, pre), { ...how, spare: 0 })
    expect(open.errors[0]).toBe(0.25)
    expect(open.floors[0]).toBeLessThan(5)
    expect(open.unsettled).toBe(1)
    expect(run(one(w, pre), { ...how, spare: 1 })).toMatchObject({
      unsettled: 0,
      index: Int32Array.of(201, 211),
      value: Float32Array.of(9.125, 9.1875),
    })
    // Where nothing that is left out can reach the k-th, the candidates decide.
    put(211, 8.25, 8.5)
    for (const latent of [201, 203]) put(latent, 10, 9.75)
    expect(run(one(w, pre), { ...how, spare: 0 })).toMatchObject({
      unsettled: 0,
      index: Int32Array.of(201, 203),
    })
  })

  test('a row that is not a number anywhere is left open, with rows to spare too', () => {
    for (const place of [3, 127, 128, 255]) {
      const pre = off.slice()
      pre[place] = Number.NaN
      const found = run(one(ascending, pre), { ...how, spare: 1 })
      expect([found.counts[0], found.unsettled]).toEqual([-1, 1])
      const w = ascending.slice()
      w[place] = Number.NaN
      expect(run(one(w, pre), { ...how, spare: 1 }).unsettled).toBe(1)
    }
  })

  test('a weight that is not a number is met by exact scores', () => {
    const w = ascending.slice()
    w[255] = Number.NaN
    expect(run(one(w, off), { ...how, spare: 1 }).unsettled).toBe(1)
  })

  test('rows without enough scores above −∞ stay open', () => {
    const given = one(ascending, off)
    given.bias.fill(Number.NEGATIVE_INFINITY, 1)
    expect(run(given, { ...how, spare: 1 }).unsettled).toBe(1)
  })
})

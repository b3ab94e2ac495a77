// The sparse backward half of a training step: the gradients of both matrices from the hits listed by latent.
// A latent's rows are written by one call, its hits summed in ascending order.
import { high64, laneSum, laneSum64, low64, madd, rowOf, square, word } from './vector'

// out (+)= Σ_t v_t · row_t for count = 1, 2, 4 or 8 rows. `count` and `fresh` are literals at every call, so
// inlining leaves only the loop that is needed. Each column's terms are added in order of t.
@inline
function combine(
  count: i32, fresh: bool, out: usize, d: i32,
  r0: usize, r1: usize, r2: usize, r3: usize, r4: usize, r5: usize, r6: usize, r7: usize,
  v0: f32, v1: f32, v2: f32, v3: f32, v4: f32, v5: f32, v6: f32, v7: f32,
): void {
  const w0 = f32x4.splat(v0), w1 = f32x4.splat(v1), w2 = f32x4.splat(v2), w3 = f32x4.splat(v3)
  const w4 = f32x4.splat(v4), w5 = f32x4.splat(v5), w6 = f32x4.splat(v6), w7 = f32x4.splat(v7)
  let j = 0
  for (; j + 4 <= d; j += 4) {
    const o = word(j)
    let sum = fresh ? f32x4.mul(w0, v128.load(r0 + o)) : madd(w0, v128.load(r0 + o), v128.load(out + o))
    if (count > 1) sum = madd(w1, v128.load(r1 + o), sum)
    if (count > 2) {
      sum = madd(w2, v128.load(r2 + o), sum)
      sum = madd(w3, v128.load(r3 + o), sum)
    }
    if (count > 4) {
      sum = madd(w4, v128.load(r4 + o), sum)
      sum = madd(w5, v128.load(r5 + o), sum)
      sum = madd(w6, v128.load(r6 + o), sum)
      sum = madd(w7, v128.load(r7 + o), sum)
    }
    v128.store(out + o, sum)
  }
  for (; j < d; j++) {
    const o = word(j)
    let sum: f32 = v0 * load<f32>(r0 + o)
    if (!fresh) sum += load<f32>(out + o)
    if (count > 1) sum += v1 * load<f32>(r1 + o)
    if (count > 2) sum += v2 * load<f32>(r2 + o) + v3 * load<f32>(r3 + o)
    if (count > 4) {
      sum += v4 * load<f32>(r4 + o) + v5 * load<f32>(r5 + o) + v6 * load<f32>(r6 + o) + v7 * load<f32>(r7 + o)
    }
    store<f32>(out + o, sum)
  }
}

// The row of the hit at flat position p: listed, or k hits per row.
@inline
function rowAt(rows: usize, k: i32, p: i32): i32 {
  return rows ? load<i32>(rows + word(p)) : p / k
}

// out (+)= Σ c[p]·scale·x[row of p] over the hits entries[from, to), p ascending.
function addHits(
  entries: usize, from: i32, to: i32, rows: usize, k: i32, c: usize, scale: f32, x: usize, d: i32, out: usize, fresh: bool,
): void {
  let at = from
  while (at < to) {
    const left = to - at
    const list = entries + word(at)
    const p0 = load<i32>(list)
    const r0 = x + rowOf(rowAt(rows, k, p0), d)
    const v0 = load<f32>(c + word(p0)) * scale
    const first = fresh && at == from
    if (left < 2) {
      if (first) combine(1, true, out, d, r0, r0, r0, r0, r0, r0, r0, r0, v0, v0, v0, v0, v0, v0, v0, v0)
      else combine(1, false, out, d, r0, r0, r0, r0, r0, r0, r0, r0, v0, v0, v0, v0, v0, v0, v0, v0)
      return
    }
    const p1 = load<i32>(list, 4)
    const r1 = x + rowOf(rowAt(rows, k, p1), d)
    const v1 = load<f32>(c + word(p1)) * scale
    if (left < 4) {
      if (first) combine(2, true, out, d, r0, r1, r0, r0, r0, r0, r0, r0, v0, v1, v0, v0, v0, v0, v0, v0)
      else combine(2, false, out, d, r0, r1, r0, r0, r0, r0, r0, r0, v0, v1, v0, v0, v0, v0, v0, v0)
      at += 2
      continue
    }
    const p2 = load<i32>(list, 8), p3 = load<i32>(list, 12)
    const r2 = x + rowOf(rowAt(rows, k, p2), d), r3 = x + rowOf(rowAt(rows, k, p3), d)
    const v2 = load<f32>(c + word(p2)) * scale, v3 = load<f32>(c + word(p3)) * scale
    if (left < 8) {
      if (first) combine(4, true, out, d, r0, r1, r2, r3, r0, r0, r0, r0, v0, v1, v2, v3, v0, v0, v0, v0)
      else combine(4, false, out, d, r0, r1, r2, r3, r0, r0, r0, r0, v0, v1, v2, v3, v0, v0, v0, v0)
      at += 4
      continue
    }
    const p4 = load<i32>(list, 16), p5 = load<i32>(list, 20), p6 = load<i32>(list, 24), p7 = load<i32>(list, 28)
    const r4 = x + rowOf(rowAt(rows, k, p4), d), r5 = x + rowOf(rowAt(rows, k, p5), d), r6 = x + rowOf(rowAt(rows, k, p6), d), r7 = x + rowOf(rowAt(rows, k, p7), d)
    const v4 = load<f32>(c + word(p4)) * scale, v5 = load<f32>(c + word(p5)) * scale
    const v6 = load<f32>(c + word(p6)) * scale, v7 = load<f32>(c + word(p7)) * scale
    if (first) combine(8, true, out, d, r0, r1, r2, r3, r4, r5, r6, r7, v0, v1, v2, v3, v4, v5, v6, v7)
    else combine(8, false, out, d, r0, r1, r2, r3, r4, r5, r6, r7, v0, v1, v2, v3, v4, v5, v6, v7)
    at += 8
  }
}

function sumHits(entries: usize, from: i32, to: i32, g: usize): f64 {
  let sum: f64 = 0
  for (let at = from; at < to; at++) sum += <f64>load<f32>(g + word(load<i32>(entries + word(at))))
  return sum
}

// −⟨a, b⟩ / ‖b‖²: adding b times that removes a's component along b. 0 if b has no direction.
export function alongRow(a: usize, b: usize, d: i32): f32 {
  let s = f32x4.splat(0), t = s
  let n0 = f64x2.splat(0), n1 = n0, n2 = n0, n3 = n0
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const p = a + word(j), q = b + word(j)
    const v = v128.load(q), w = v128.load(q, 16)
    s = madd(v128.load(p), v, s)
    t = madd(v128.load(p, 16), w, t)
    n0 = square(low64(v), n0)
    n1 = square(high64(v), n1)
    n2 = square(low64(w), n2)
    n3 = square(high64(w), n3)
  }
  let sum = <f64>laneSum(f32x4.add(s, t)), norm = laneSum64(f64x2.add(f64x2.add(n0, n1), f64x2.add(n2, n3)))
  for (; j < d; j++) {
    const o = word(j)
    const v = <f64>load<f32>(b + o)
    sum += <f64>load<f32>(a + o) * v
    norm += v * v
  }
  return norm > 0 ? <f32>(-sum / norm) : 0
}

// a += c·b, and Σ a²; c = 0 leaves a unchanged, whatever b holds.
export function finishRow(a: usize, c: f32, b: usize, d: i32): f64 {
  const c4 = f32x4.splat(c)
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const p = a + word(j), q = b + word(j)
    let x = v128.load(p), y = v128.load(p, 16)
    if (c != 0) {
      x = madd(c4, v128.load(q), x)
      y = madd(c4, v128.load(q, 16), y)
      v128.store(p, x)
      v128.store(p, y, 16)
    }
    s0 = square(low64(x), s0)
    s1 = square(high64(x), s1)
    s2 = square(low64(y), s2)
    s3 = square(high64(y), s3)
  }
  let sum = laneSum64(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)))
  for (; j < d; j++) {
    const o = word(j)
    let u = load<f32>(a + o)
    if (c != 0) {
      u += c * load<f32>(b + o)
      store<f32>(a + o, u)
    }
    sum += <f64>u * <f64>u
  }
  return sum
}

// With this many hits a list's rows of e and xc no longer fit in the cache: such latents are deferred.
const longList: i32 = 128
// `touched` of a deferred latent, before and after its rows hold a sum.
const waiting: u8 = 2, started: u8 = 3

@inline
function listOf(slots: usize, i: i32): i32 {
  return slots ? load<i32>(slots + word(i)) : i
}

@inline
function lengthOf(starts: usize, list: i32): i32 {
  return list < 0 ? 0 : load<i32>(starts + word(list), 4) - load<i32>(starts + word(list))
}

// Adds one selection's hits to the deferred latents of [lo, hi). Their lists are processed together,
// a block of rows at a time, while those rows are in the cache; each list keeps its order, so the sums are those of
// one pass. `cursors` has room for one int32 per latent.
function addLongLists(
  lo: i32, hi: i32, slots: usize, starts: usize, entries: usize, listed: usize, k: i32, val: usize, g: usize, e: usize,
  scale: f32, xc: usize, dDec: i32, dEnc: i32, gDec: usize, gEnc: usize, touched: usize, cursors: usize, sides: i32,
): void {
  let open = 0
  for (let i = lo; i < hi; i++) {
    if (load<u8>(touched + <usize>i) < waiting) continue
    const list = listOf(slots, i)
    const some = lengthOf(starts, list) > 0
    store<i32>(cursors + word(i), some ? load<i32>(starts + word(list)) : -1)
    open += i32(some)
  }
  // Half a MiB for the rows of each of e and xc.
  const rows = max(8, 131072 / max(dDec, dEnc))
  for (let row = rows; open > 0; row += rows) {
    for (let i = lo; i < hi; i++) {
      const state = load<u8>(touched + <usize>i)
      if (state < waiting) continue
      const cursor = cursors + word(i)
      const from = load<i32>(cursor)
      if (from < 0) continue
      const end = load<i32>(starts + word(listOf(slots, i)), 4)
      let to = from
      while (to < end && rowAt(listed, k, load<i32>(entries + word(to))) < row) to++
      if (to > from) {
        if (sides & decoder) addHits(entries, from, to, listed, k, val, scale, e, dDec, gDec + rowOf(i, dDec), state == waiting)
        if (sides & encoder) addHits(entries, from, to, listed, k, g, 1, xc, dEnc, gEnc + rowOf(i, dEnc), state == waiting)
        store<u8>(touched + <usize>i, started)
      }
      store<i32>(cursor, to == end ? -1 : to)
      open -= i32(to == end)
    }
  }
}

// The two matrices' gradients, as bits of `sides`.
const decoder: i32 = 1, encoder: i32 = 2

// Removes the component along the decoder row (unit norm makes it useless, not harmful, and Adam's moments must
// not see it), and writes the latent's remaining outputs.
@inline
function finishLatent(
  i: i32, sum: f64, dec: usize, enc: usize, wDec: usize, dDec: i32, dEnc: i32, gBEnc: usize, touched: usize, sq: usize,
  sides: i32,
): void {
  const at = sq + (<usize>i << 3)
  store<u8>(touched + <usize>i, 1)
  if (sides & decoder) {
    const row = wDec ? wDec + rowOf(i, dDec) : dec
    store<f64>(at, finishRow(dec, wDec ? alongRow(dec, row, dDec) : 0, row, dDec))
  }
  if (sides & encoder) {
    const bias = <f32>sum
    store<f32>(gBEnc + word(i), bias)
    store<f64>(at, load<f64>(at) + finishRow(enc, 0, enc, dEnc) + <f64>bias * <f64>bias)
  }
}

/**
 * Gradients of both matrices from the hits of both selections: listed by latent (starts, entries), with `rows` naming the row
 * of each, or k per row. `sides` 1: the decoder's; 2: the encoder's and b_enc's, after the decoder's; 3: both. One side after the
 * other for all latents touches half as many rows at a time, which then stay in the cache.
 */
export function weightGrads(
  lo: i32, hi: i32, starts: usize, entries: usize, rows: usize, k: i32, val: usize, g: usize, e: usize, eScale: f32,
  auxSlot: usize, auxStarts: usize, auxEntries: usize, auxRows: usize, kAux: i32, auxVal: usize, auxG: usize, auxE: usize,
  auxScale: f32, xc: usize, dDec: i32, dEnc: i32, wDec: usize, gDec: usize, gEnc: usize, gBEnc: usize, touched: usize,
  sq: usize, sides: i32,
): void {
  let aside = 0
  for (let i = lo; i < hi; i++) {
    const from = load<i32>(starts + word(i)), to = load<i32>(starts + word(i), 4)
    const list = auxSlot ? load<i32>(auxSlot + word(i)) : -1
    const n = to - from, nAux = lengthOf(auxStarts, list)
    if (n == 0 && nAux == 0) {
      store<u8>(touched + <usize>i, 0)
      store<f32>(gBEnc + word(i), 0)
      store<f64>(sq + (<usize>i << 3), 0)
      continue
    }
    if (n >= longList || nAux >= longList) {
      store<u8>(touched + <usize>i, waiting)
      aside++
      continue
    }
    const dec = gDec + rowOf(i, dDec), enc = gEnc + rowOf(i, dEnc)
    let sum: f64 = 0
    if (n > 0) {
      if (sides & decoder) addHits(entries, from, to, rows, k, val, eScale, e, dDec, dec, true)
      if (sides & encoder) {
        addHits(entries, from, to, rows, k, g, 1, xc, dEnc, enc, true)
        sum = sumHits(entries, from, to, g)
      }
    }
    if (nAux > 0) {
      const auxFrom = load<i32>(auxStarts + word(list)), auxTo = auxFrom + nAux
      if (sides & decoder) addHits(auxEntries, auxFrom, auxTo, auxRows, kAux, auxVal, auxScale, auxE, dDec, dec, n == 0)
      if (sides & encoder) {
        addHits(auxEntries, auxFrom, auxTo, auxRows, kAux, auxG, 1, xc, dEnc, enc, n == 0)
        sum += sumHits(auxEntries, auxFrom, auxTo, auxG)
      }
    }
    finishLatent(i, sum, dec, enc, wDec, dDec, dEnc, gBEnc, touched, sq, sides)
  }
  if (aside > 0) {
    finishLongLists(
      lo, hi, starts, entries, rows, k, val, g, e, eScale, auxSlot, auxStarts, auxEntries, auxRows, kAux, auxVal, auxG, auxE,
      auxScale, xc, dDec, dEnc, wDec, gDec, gEnc, gBEnc, touched, sq, sides,
    )
  }
}

// The deferred latents. Cursors use the memory of b_enc's gradients, which are written last.
function finishLongLists(
  lo: i32, hi: i32, starts: usize, entries: usize, rows: usize, k: i32, val: usize, g: usize, e: usize, eScale: f32,
  auxSlot: usize, auxStarts: usize, auxEntries: usize, auxRows: usize, kAux: i32, auxVal: usize, auxG: usize, auxE: usize,
  auxScale: f32, xc: usize, dDec: i32, dEnc: i32, wDec: usize, gDec: usize, gEnc: usize, gBEnc: usize, touched: usize,
  sq: usize, sides: i32,
): void {
  addLongLists(lo, hi, 0, starts, entries, rows, k, val, g, e, eScale, xc, dDec, dEnc, gDec, gEnc, touched, gBEnc, sides)
  if (auxSlot) {
    addLongLists(
      lo, hi, auxSlot, auxStarts, auxEntries, auxRows, kAux, auxVal, auxG, auxE, auxScale, xc, dDec, dEnc, gDec, gEnc,
      touched, gBEnc, sides,
    )
  }
  for (let i = lo; i < hi; i++) {
    if (load<u8>(touched + <usize>i) < waiting) continue
    let sum = sumHits(entries, load<i32>(starts + word(i)), load<i32>(starts + word(i), 4), g)
    const list = auxSlot ? load<i32>(auxSlot + word(i)) : -1
    if (list >= 0) {
      sum += sumHits(auxEntries, load<i32>(auxStarts + word(list)), load<i32>(auxStarts + word(list), 4), auxG)
    }
    finishLatent(i, sum, gDec + rowOf(i, dDec), gEnc + rowOf(i, dEnc), wDec, dDec, dEnc, gBEnc, touched, sq, sides)
  }
}

// The sparse backward half of a training step: hits listed by latent, and the gradients of both matrices.
// A latent's rows are written by one call, its hits summed in ascending order.
import { high64, laneSum, laneSum64, low64, madd, rowOf, square, word } from './vector'

/** Counting sort of flat positions by latent, stable. `starts` has m + 1 entries. */
export function buildLists(idx: usize, val: usize, n: i32, m: i32, skipZero: i32, starts: usize, entries: usize): void {
  memory.fill(starts, 0, word(m + 1))
  for (let p = 0; p < n; p++) {
    const o = word(p)
    if (skipZero && load<f32>(val + o) == 0) continue
    const s = starts + word(load<i32>(idx + o))
    store<i32>(s, load<i32>(s) + 1)
  }
  let sum = 0
  for (let i = 0; i <= m; i++) {
    const s = starts + word(i)
    sum += load<i32>(s)
    store<i32>(s, sum)
  }
  // Filling from the back turns ends into starts and keeps equal latents in ascending order.
  for (let p = n - 1; p >= 0; p--) {
    const o = word(p)
    if (skipZero && load<f32>(val + o) == 0) continue
    const s = starts + word(load<i32>(idx + o))
    const at = load<i32>(s) - 1
    store<i32>(s, at)
    store<i32>(entries + word(at), p)
  }
}

/** fired[idx] = 1 where the value is positive. */
export function markFired(idx: usize, val: usize, n: i32, fired: usize): void {
  for (let p = 0; p < n; p++) {
    if (load<f32>(val + word(p)) > 0) store<u8>(fired + <usize>load<i32>(idx + word(p)), 1)
  }
}

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

// out (+)= Σ c[p]·scale·x[p / k] over the hits entries[from, to), p ascending.
function addHits(
  entries: usize, from: i32, to: i32, k: i32, c: usize, scale: f32, x: usize, d: i32, out: usize, fresh: bool,
): void {
  let at = from
  while (at < to) {
    const left = to - at
    const list = entries + word(at)
    const p0 = load<i32>(list)
    const r0 = x + rowOf(p0 / k, d)
    const v0 = load<f32>(c + word(p0)) * scale
    const first = fresh && at == from
    if (left < 2) {
      if (first) combine(1, true, out, d, r0, r0, r0, r0, r0, r0, r0, r0, v0, v0, v0, v0, v0, v0, v0, v0)
      else combine(1, false, out, d, r0, r0, r0, r0, r0, r0, r0, r0, v0, v0, v0, v0, v0, v0, v0, v0)
      return
    }
    const p1 = load<i32>(list, 4)
    const r1 = x + rowOf(p1 / k, d)
    const v1 = load<f32>(c + word(p1)) * scale
    if (left < 4) {
      if (first) combine(2, true, out, d, r0, r1, r0, r0, r0, r0, r0, r0, v0, v1, v0, v0, v0, v0, v0, v0)
      else combine(2, false, out, d, r0, r1, r0, r0, r0, r0, r0, r0, v0, v1, v0, v0, v0, v0, v0, v0)
      at += 2
      continue
    }
    const p2 = load<i32>(list, 8), p3 = load<i32>(list, 12)
    const r2 = x + rowOf(p2 / k, d), r3 = x + rowOf(p3 / k, d)
    const v2 = load<f32>(c + word(p2)) * scale, v3 = load<f32>(c + word(p3)) * scale
    if (left < 8) {
      if (first) combine(4, true, out, d, r0, r1, r2, r3, r0, r0, r0, r0, v0, v1, v2, v3, v0, v0, v0, v0)
      else combine(4, false, out, d, r0, r1, r2, r3, r0, r0, r0, r0, v0, v1, v2, v3, v0, v0, v0, v0)
      at += 4
      continue
    }
    const p4 = load<i32>(list, 16), p5 = load<i32>(list, 20), p6 = load<i32>(list, 24), p7 = load<i32>(list, 28)
    const r4 = x + rowOf(p4 / k, d), r5 = x + rowOf(p5 / k, d), r6 = x + rowOf(p6 / k, d), r7 = x + rowOf(p7 / k, d)
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

// −⟨a, b⟩ / ‖b‖²: added b times that, a has no component along b. 0 where b has no direction.
function alongRow(a: usize, b: usize, d: i32): f32 {
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

// a += c·b, and Σ a² + Σ w² of the two rows of gradients; c = 0 leaves a alone, whatever b holds.
function finishRows(a: usize, c: f32, b: usize, w: usize, d: i32): f64 {
  const c4 = f32x4.splat(c)
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const p = a + word(j), q = b + word(j), r = w + word(j)
    let x = v128.load(p), y = v128.load(p, 16)
    if (c != 0) {
      x = madd(c4, v128.load(q), x)
      y = madd(c4, v128.load(q, 16), y)
      v128.store(p, x)
      v128.store(p, y, 16)
    }
    const u = v128.load(r), v = v128.load(r, 16)
    s0 = square(low64(x), s0)
    s1 = square(high64(x), s1)
    s2 = square(low64(y), s2)
    s3 = square(high64(y), s3)
    t0 = square(low64(u), t0)
    t1 = square(high64(u), t1)
    t2 = square(low64(v), t2)
    t3 = square(high64(v), t3)
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))
  t0 = f64x2.add(f64x2.add(t0, t1), f64x2.add(t2, t3))
  let sum = laneSum64(f64x2.add(s0, t0))
  for (; j < d; j++) {
    const o = word(j)
    let u = load<f32>(a + o)
    if (c != 0) {
      u += c * load<f32>(b + o)
      store<f32>(a + o, u)
    }
    const x = <f64>u, v = <f64>load<f32>(w + o)
    sum += x * x + v * v
  }
  return sum
}

export function weightGrads(
  lo: i32, hi: i32, starts: usize, entries: usize, k: i32, val: usize, g: usize, e: usize, xc: usize, d: i32, eScale: f32,
  auxSlot: usize, auxStarts: usize, auxEntries: usize, kAux: i32, auxVal: usize, auxG: usize, auxE: usize, auxScale: f32,
  wDec: usize, gDec: usize, gEnc: usize, gBEnc: usize, touched: usize, sq: usize,
): void {
  for (let i = lo; i < hi; i++) {
    const from = load<i32>(starts + word(i)), to = load<i32>(starts + word(i), 4)
    let auxFrom = 0, auxTo = 0
    if (auxSlot) {
      const slot = load<i32>(auxSlot + word(i))
      if (slot >= 0) {
        auxFrom = load<i32>(auxStarts + word(slot))
        auxTo = load<i32>(auxStarts + word(slot), 4)
      }
    }
    const some = from < to, someAux = auxFrom < auxTo
    store<u8>(touched + <usize>i, u8(some || someAux))
    if (!some && !someAux) {
      store<f32>(gBEnc + word(i), 0)
      store<f64>(sq + (<usize>i << 3), 0)
      continue
    }
    const dec = gDec + rowOf(i, d), enc = gEnc + rowOf(i, d)
    let sum: f64 = 0
    if (some) {
      addHits(entries, from, to, k, val, eScale, e, d, dec, true)
      addHits(entries, from, to, k, g, 1, xc, d, enc, true)
      sum = sumHits(entries, from, to, g)
    }
    if (someAux) {
      addHits(auxEntries, auxFrom, auxTo, kAux, auxVal, auxScale, auxE, d, dec, !some)
      addHits(auxEntries, auxFrom, auxTo, kAux, auxG, 1, xc, d, enc, !some)
      sum += sumHits(auxEntries, auxFrom, auxTo, auxG)
    }
    // Unit norm makes a gradient along the row useless, not harmful, and Adam's moments must not see it.
    const row = wDec ? wDec + rowOf(i, d) : dec
    const c: f32 = wDec ? alongRow(dec, row, d) : 0
    const bias = <f32>sum
    store<f32>(gBEnc + word(i), bias)
    store<f64>(sq + (<usize>i << 3), finishRows(dec, c, row, enc, d) + <f64>bias * <f64>bias)
  }
}

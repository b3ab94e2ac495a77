// The sparse forward half of a training step, row by row: reconstruction and residual (hits.ts has the rows' lists).
import { laneSum, madd, rowOf, word } from './vector'

// out = from + Σ v_t·row_t for `count` = 1, 2 or 4 rows, each column's terms in order of t; `from` 0: zeros. `count` is a
// literal at every call, so inlining leaves only the needed loop.
@inline
function addRows(
  count: i32, from: usize, out: usize, d: i32, r0: usize, r1: usize, r2: usize, r3: usize, v0: f32, v1: f32, v2: f32, v3: f32,
): void {
  const w0 = f32x4.splat(v0), w1 = f32x4.splat(v1), w2 = f32x4.splat(v2), w3 = f32x4.splat(v3)
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const o = word(j)
    let s = from ? v128.load(from + o) : f32x4.splat(0), t = from ? v128.load(from + o, 16) : f32x4.splat(0)
    s = madd(w0, v128.load(r0 + o), s); t = madd(w0, v128.load(r0 + o, 16), t)
    if (count > 1) { s = madd(w1, v128.load(r1 + o), s); t = madd(w1, v128.load(r1 + o, 16), t) }
    if (count > 2) {
      s = madd(w2, v128.load(r2 + o), s); t = madd(w2, v128.load(r2 + o, 16), t)
      s = madd(w3, v128.load(r3 + o), s); t = madd(w3, v128.load(r3 + o, 16), t)
    }
    v128.store(out + o, s); v128.store(out + o, t, 16)
  }
  for (; j < d; j++) {
    const o = word(j)
    let s: f32 = from ? load<f32>(from + o) : 0
    s += v0 * load<f32>(r0 + o)
    if (count > 1) s += v1 * load<f32>(r1 + o)
    if (count > 2) {
      s += v2 * load<f32>(r2 + o)
      s += v3 * load<f32>(r3 + o)
    }
    store<f32>(out + o, s)
  }
}

// out = bias + Σ val·wDec[idx] over k hits, skipping values of 0 whatever their row holds. Four rows at a time from end to end:
// they are far apart in memory, and only sequential reads are prefetched.
export function decodeRow(idx: usize, val: usize, k: i32, wDec: usize, d: i32, bias: usize, out: usize): void {
  let from = bias, empty = true
  let i = 0
  while (i < k) {
    let n = 0
    let r0: usize = 0, r1: usize = 0, r2: usize = 0, r3: usize = 0
    let v0: f32 = 0, v1: f32 = 0, v2: f32 = 0, v3: f32 = 0
    for (; i < k && n < 4; i++) {
      const value = load<f32>(val + word(i))
      if (value == 0) continue
      r0 = r1; r1 = r2; r2 = r3
      v0 = v1; v1 = v2; v2 = v3
      r3 = wDec + rowOf(load<i32>(idx + word(i)), d)
      v3 = value
      n++
    }
    if (n == 0) break
    if (n == 4) addRows(4, from, out, d, r0, r1, r2, r3, v0, v1, v2, v3)
    else {
      if (n == 3) {
        addRows(1, from, out, d, r1, r1, r1, r1, v1, v1, v1, v1)
        from = out
      }
      if (n >= 2) addRows(2, from, out, d, r2, r3, r3, r3, v2, v3, v3, v3)
      else addRows(1, from, out, d, r3, r3, r3, r3, v3, v3, v3, v3)
    }
    from = out
    empty = false
  }
  if (!empty || bias == out) return
  if (bias) memory.copy(out, bias, word(d))
  else memory.fill(out, 0, word(d))
}

// e = a − x, returns Σ e².
export function residualRow(a: usize, x: usize, d: i32, e: usize): f64 {
  let s = f32x4.splat(0)
  let j = 0
  for (; j + 4 <= d; j += 4) {
    const o = word(j)
    const v = f32x4.sub(v128.load(a + o), v128.load(x + o))
    v128.store(e + o, v)
    s = madd(v, v, s)
  }
  let sum = <f64>laneSum(s)
  for (; j < d; j++) {
    const o = word(j)
    const v = load<f32>(a + o) - load<f32>(x + o)
    store<f32>(e + o, v)
    sum += <f64>v * <f64>v
  }
  return sum
}

export function residualRows(xhat: usize, x: usize, rows: i32, d: i32, e: usize, sq: usize): void {
  for (let r = 0; r < rows; r++) {
    const o = rowOf(r, d)
    store<f64>(sq + (<usize>r << 3), residualRow(xhat + o, x + o, d, e + o))
  }
}

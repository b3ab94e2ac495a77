// The sparse forward half of a training step, row by row: reconstruction and residual (hits.ts has the rows' lists).
import { laneSum, madd, rowOf, word } from './vector'

// out = bias + Σ val·wDec[idx] over k hits, a value of 0 left out whatever its row holds; 32 columns at a time so that the sums stay in registers.
export function decodeRow(idx: usize, val: usize, k: i32, wDec: usize, d: i32, bias: usize, out: usize): void {
  let j = 0
  for (; j + 32 <= d; j += 32) {
    const o = word(j)
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0
    if (bias) {
      const b = bias + o
      s0 = v128.load(b); s1 = v128.load(b, 16); s2 = v128.load(b, 32); s3 = v128.load(b, 48)
      s4 = v128.load(b, 64); s5 = v128.load(b, 80); s6 = v128.load(b, 96); s7 = v128.load(b, 112)
    }
    for (let i = 0; i < k; i++) {
      const value = load<f32>(val + word(i))
      if (value == 0) continue
      const v = f32x4.splat(value)
      const w = wDec + rowOf(load<i32>(idx + word(i)), d) + o
      s0 = madd(v, v128.load(w), s0); s1 = madd(v, v128.load(w, 16), s1)
      s2 = madd(v, v128.load(w, 32), s2); s3 = madd(v, v128.load(w, 48), s3)
      s4 = madd(v, v128.load(w, 64), s4); s5 = madd(v, v128.load(w, 80), s5)
      s6 = madd(v, v128.load(w, 96), s6); s7 = madd(v, v128.load(w, 112), s7)
    }
    const q = out + o
    v128.store(q, s0); v128.store(q, s1, 16); v128.store(q, s2, 32); v128.store(q, s3, 48)
    v128.store(q, s4, 64); v128.store(q, s5, 80); v128.store(q, s6, 96); v128.store(q, s7, 112)
  }
  for (; j < d; j++) {
    const o = word(j)
    let sum: f32 = bias ? load<f32>(bias + o) : 0
    for (let i = 0; i < k; i++) {
      const value = load<f32>(val + word(i))
      if (value == 0) continue
      sum += value * load<f32>(wDec + rowOf(load<i32>(idx + word(i)), d) + o)
    }
    store<f32>(out + o, sum)
  }
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

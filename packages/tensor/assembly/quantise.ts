// Eight-bit forms of activations and weights for a screened encode (int8 product, then exact rescoring).
// Symmetric, one scale per row; rounding is to nearest, halves to even. A row whose scale is 0 or not finite
// quantises to zeros; its scale shows why.
import { maxAbs, rowOf, word } from './vector'

@inline
function usable(scale: f32): bool {
  return scale > 0 && scale < Infinity
}

@inline
function level(x: f32, scale: f32, most: f32): i32 {
  return <i32>max<f32>(-most, min<f32>(most, nearest<f32>(x / scale)))
}

@inline
function levels(x: v128, scale: v128, most: v128): v128 {
  const rounded = f32x4.nearest(f32x4.div(x, scale))
  return i32x4.trunc_sat_f32x4_s(f32x4.max(f32x4.neg(most), f32x4.min(most, rounded)))
}

export function quantiseRowsU8(x: usize, rows: i32, d: i32, outU8: usize, scale: usize): void {
  const most = f32x4.splat(127), zero = i16x8.splat(128)
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d), to = outU8 + <usize>r * <usize>d
    const s = maxAbs(row, d) / 127
    store<f32>(scale + word(r), s)
    if (!usable(s)) {
      memory.fill(to, 128, <usize>d)
      continue
    }
    const v = f32x4.splat(s)
    let j = 0
    for (; j + 8 <= d; j += 8) {
      const p = row + word(j)
      const both = i16x8.narrow_i32x4_s(levels(v128.load(p), v, most), levels(v128.load(p, 16), v, most))
      v128.store64_lane(to + <usize>j, i8x16.narrow_i16x8_u(i16x8.add(both, zero), both), 0)
    }
    for (; j < d; j++) store<u8>(to + <usize>j, <u8>(level(load<f32>(row + word(j)), s, 127) + 128))
  }
}

// Four columns of four rows as levels: i32 lane c holds column c, byte f of it row f.
@inline
function tile(p: usize, stride: usize, scales: usize, most: v128): v128 {
  const a = levels(v128.load(p), v128.load32_splat(scales), most)
  const b = levels(v128.load(p + stride), v128.load32_splat(scales, 4), most)
  const c = levels(v128.load(p + 2 * stride), v128.load32_splat(scales, 8), most)
  const e = levels(v128.load(p + 3 * stride), v128.load32_splat(scales, 12), most)
  const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, e))
  return v128.shuffle<i8>(bytes, bytes, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
}

// Sixteen rows from i, columns [0, d): one 16-byte store per column.
function transpose16(w: usize, i: i32, j: i32, m: i32, d: i32, scale: usize, most: v128, outI8: usize): void {
  const stride = word(d)
  const p = w + rowOf(i, d) + word(j), s = scale + word(i)
  const t0 = tile(p, stride, s, most), t1 = tile(p + 4 * stride, stride, s + 16, most)
  const t2 = tile(p + 8 * stride, stride, s + 32, most), t3 = tile(p + 12 * stride, stride, s + 48, most)
  const a = v128.shuffle<i32>(t0, t1, 0, 4, 1, 5), b = v128.shuffle<i32>(t2, t3, 0, 4, 1, 5)
  const c = v128.shuffle<i32>(t0, t1, 2, 6, 3, 7), e = v128.shuffle<i32>(t2, t3, 2, 6, 3, 7)
  const to = outI8 + <usize>j * <usize>m + <usize>i
  v128.store(to, v128.shuffle<i64>(a, b, 0, 2))
  v128.store(to + <usize>m, v128.shuffle<i64>(a, b, 1, 3))
  v128.store(to + 2 * <usize>m, v128.shuffle<i64>(c, e, 0, 2))
  v128.store(to + 3 * <usize>m, v128.shuffle<i64>(c, e, 1, 3))
}

// One row, columns from j on.
function transposeRow(w: usize, i: i32, from: i32, m: i32, d: i32, s: f32, most: f32, outI8: usize): void {
  const row = w + rowOf(i, d)
  for (let j = from; j < d; j++) {
    const q = outI8 + <usize>j * <usize>m + <usize>i
    store<i8>(q, usable(s) ? <i8>level(load<f32>(row + word(j)), s, most) : 0)
  }
}

export function quantiseTransposeI8(
  w: usize, lo: i32, hi: i32, m: i32, d: i32, bits: i32, outI8: usize, scale: usize,
): void {
  const most = <f32>((1 << (bits - 1)) - 1)
  const most4 = f32x4.splat(most)
  let i = lo
  while (i < hi) {
    // Up to four groups of sixteen rows share a cache line of the output.
    const end = min(i + 64, hi)
    let plain = false
    for (let f = i; f < end; f++) {
      const s = maxAbs(w + rowOf(f, d), d) / most
      store<f32>(scale + word(f), s)
      if (!usable(s)) plain = true
    }
    const groups = plain ? 0 : (end - i) >> 4
    const columns = d & ~3
    for (let j = 0; j < columns; j += 4) {
      for (let t = 0; t < groups; t++) transpose16(w, i + (t << 4), j, m, d, scale, most4, outI8)
    }
    const wide = i + (groups << 4)
    for (let f = i; f < end; f++) {
      transposeRow(w, f, f < wide ? columns : 0, m, d, load<f32>(scale + word(f)), most, outI8)
    }
    i = end
  }
}

// Rows of hits of varying length: every row's pre-activations above a limit, in one flat list with [from, to) per row.
// Selections by value (ReLU, JumpReLU, gated, BatchTopK) use this; a fixed k per row is the same with even spans.
import { decodeRow, residualRow } from './decode'
import { dot, dot4, rowOf, word } from './vector'

/**
 * Appends (latent, value, row) of all pre + bias that are not ≤ limit[latent] (so NaN is kept), by row, then by latent,
 * from flat position `at` up to `end`; writes each row's span. `need` receives how many there are: more than end − at
 * means the list is truncated and must not be used. `firstRow` is added to the row numbers.
 */
export function collectAbove(
  pre: usize, ld: i32, rows: i32, m: i32, bias: usize, limit: usize, firstRow: i32, at: i32, end: i32,
  idx: usize, val: usize, row: usize, from: usize, to: usize, need: usize,
): void {
  let p = at
  for (let r = 0; r < rows; r++) {
    const line = pre + rowOf(r, ld)
    store<i32>(from + word(r), min(p, end))
    let j = 0
    for (; j + 16 <= m; j += 16) {
      const o = word(j)
      const q = line + o, b = bias + o, l = limit + o
      const v0 = f32x4.add(v128.load(q), v128.load(b)), v1 = f32x4.add(v128.load(q, 16), v128.load(b, 16))
      const v2 = f32x4.add(v128.load(q, 32), v128.load(b, 32)), v3 = f32x4.add(v128.load(q, 48), v128.load(b, 48))
      const c0 = f32x4.le(v0, v128.load(l)), c1 = f32x4.le(v1, v128.load(l, 16))
      const c2 = f32x4.le(v2, v128.load(l, 32)), c3 = f32x4.le(v3, v128.load(l, 48))
      let mask = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(c0, c1), i16x8.narrow_i32x4_s(c2, c3))) ^ 0xffff
      while (mask) {
        const i = j + ctz(mask)
        mask &= mask - 1
        if (p < end) {
          const t = word(p)
          store<i32>(idx + t, i)
          store<f32>(val + t, load<f32>(line + word(i)) + load<f32>(bias + word(i)))
          store<i32>(row + t, firstRow + r)
        }
        p++
      }
    }
    for (; j < m; j++) {
      const v = load<f32>(line + word(j)) + load<f32>(bias + word(j))
      if (v <= load<f32>(limit + word(j))) continue
      if (p < end) {
        const t = word(p)
        store<i32>(idx + t, j)
        store<f32>(val + t, v)
        store<i32>(row + t, firstRow + r)
      }
      p++
    }
    store<i32>(to + word(r), min(p, end))
  }
  store<i32>(need, p - at)
}

/** mid[r]: the first position of the row's span whose latent is ≥ limit (latents ascend). */
export function splitRows(idx: usize, from: usize, to: usize, rows: i32, limit: i32, mid: usize): void {
  for (let r = 0; r < rows; r++) {
    let p = load<i32>(from + word(r))
    const end = load<i32>(to + word(r))
    while (p < end && load<i32>(idx + word(p)) < limit) p++
    store<i32>(mid + word(r), p)
  }
}

/** out[r] = init[r] + Σ val·wDec[idx] over the row's span; `initStride` 0: one row for all; out may be init. */
export function decodeSpans(
  idx: usize, val: usize, from: usize, to: usize, rows: i32, wDec: usize, d: i32, init: usize, initStride: i32, out: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const p = load<i32>(from + word(r)), n = load<i32>(to + word(r)) - p
    decodeRow(idx + word(p), val + word(p), n, wDec, d, init + word(r * initStride), out + rowOf(r, d))
  }
}

/** g[i] = ⟨e, row idx[i] of wDec⟩ for k indices. */
export function dotRow(e: usize, idx: usize, k: i32, wDec: usize, d: i32, g: usize): void {
  let i = 0
  for (; i + 4 <= k; i += 4) {
    const at = idx + word(i)
    dot4(
      e, wDec + rowOf(load<i32>(at), d), wDec + rowOf(load<i32>(at, 4), d), wDec + rowOf(load<i32>(at, 8), d),
      wDec + rowOf(load<i32>(at, 12), d), d, g + word(i),
    )
  }
  for (; i < k; i++) store<f32>(g + word(i), dot(e, wDec + rowOf(load<i32>(idx + word(i)), d), d))
}

/** g = ⟨e[r], wDec[idx]⟩ of every hit. */
export function dotSpans(
  e: usize, idx: usize, from: usize, to: usize, rows: i32, wDec: usize, d: i32, g: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const p = load<i32>(from + word(r)), n = load<i32>(to + word(r)) - p
    dotRow(e + rowOf(r, d), idx + word(p), n, wDec, d, g + word(p))
  }
}

// Hits of a row processed before switching to the next row. A row of many ascending hits covers the
// dictionary densely, so the same positions of neighbouring rows use the same cached decoder rows.
const stretch: i32 = 32

/** decodeSpans, e = x̂ − y with ‖e‖² per row, and dotSpans, row by row while the decoder rows are in the cache. */
export function decodeHits(
  idx: usize, val: usize, from: usize, to: usize, rows: i32, wDec: usize, d: i32, init: usize, initStride: i32,
  y: usize, e: usize, sq: usize, g: usize,
): void {
  let longest = 0
  for (let r = 0; r < rows; r++) longest = max(longest, load<i32>(to + word(r)) - load<i32>(from + word(r)))
  if (longest <= stretch) {
    for (let r = 0; r < rows; r++) {
      const p = load<i32>(from + word(r)), n = load<i32>(to + word(r)) - p, out = e + rowOf(r, d)
      decodeRow(idx + word(p), val + word(p), n, wDec, d, init + word(r * initStride), out)
      store<f64>(sq + (<usize>r << 3), residualRow(out, y + rowOf(r, d), d, out))
      dotRow(out, idx + word(p), n, wDec, d, g + word(p))
    }
    return
  }
  for (let i = 0; i < longest; i += stretch) {
    for (let r = 0; r < rows; r++) {
      const p = load<i32>(from + word(r)) + i, n = min(stretch, load<i32>(to + word(r)) - p), out = e + rowOf(r, d)
      if (n <= 0 && i > 0) continue
      decodeRow(idx + word(p), val + word(p), max(n, 0), wDec, d, i == 0 ? init + word(r * initStride) : out, out)
    }
  }
  for (let r = 0; r < rows; r++) {
    const out = e + rowOf(r, d)
    store<f64>(sq + (<usize>r << 3), residualRow(out, y + rowOf(r, d), d, out))
  }
  for (let i = 0; i < longest; i += stretch) {
    for (let r = 0; r < rows; r++) {
      const p = load<i32>(from + word(r)) + i, n = min(stretch, load<i32>(to + word(r)) - p)
      if (n > 0) dotRow(e + rowOf(r, d), idx + word(p), n, wDec, d, g + word(p))
    }
  }
}

/** pre[r][i] = (pre[r][i] + bias[i]) · factor[i]: scores that a selection compares instead of pre-activations. */
export function scoreRows(pre: usize, rows: i32, m: i32, bias: usize, factor: usize): void {
  for (let r = 0; r < rows; r++) {
    const line = pre + rowOf(r, m)
    let j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j)
      v128.store(line + o, f32x4.mul(f32x4.add(v128.load(line + o), v128.load(bias + o)), v128.load(factor + o)))
    }
    for (; j < m; j++) {
      const o = word(j)
      store<f32>(line + o, (load<f32>(line + o) + load<f32>(bias + o)) * load<f32>(factor + o))
    }
  }
}

/** val[p] /= factor[idx[p]]: back from scores to pre-activations. A factor of 0 leaves the value. */
export function unscoreHits(idx: usize, val: usize, n: i32, factor: usize): void {
  for (let p = 0; p < n; p++) {
    const f = load<f32>(factor + word(load<i32>(idx + word(p))))
    if (f != 0) store<f32>(val + word(p), load<f32>(val + word(p)) / f)
  }
}

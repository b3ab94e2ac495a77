// Row top-k. A scan keeps candidates above a running threshold, in index order; when the buffer is full the
// k-th largest value becomes the threshold. Of equal values the earlier wins, so ties go to the lowest index.
// The first threshold comes from the first half of the row, so that few candidates are ever kept; it is a
// lower bound of the k-th largest value, so it does not affect the result.
import { rowOf, word } from './vector'

export const radix: i32 = 2048

// Bits of a float32 as an integer in the same order (−0 below +0).
@inline
function orderOf(p: usize): u32 {
  const bits = load<i32>(p)
  return <u32>(bits ^ ((bits >> 31) | 0x80000000))
}

// The k-th largest of n float32 at p (1 ≤ k ≤ n, no NaN); reorders and drops them. Many are first reduced by
// radix, eleven bits at a time, to those that share the k-th one's bits: unpredictable comparisons cost more.
export function kthLargest(p: usize, n: i32, k: i32, bins: usize): f32 {
  for (let shift = 21; n > 192 && shift >= -1; shift -= 11) {
    // The last ten bits are taken together with one earlier bit, which all survivors share.
    const by = <u32>max(shift, 0)
    memory.fill(bins, 0, word(radix))
    for (let i = 0; i < n; i++) {
      const bin = bins + word(<i32>((orderOf(p + word(i)) >> by) & (radix - 1)))
      store<i32>(bin, load<i32>(bin) + 1)
    }
    let bin = radix
    let above = 0, here = 0
    while (above + here < k) {
      above += here
      here = load<i32>(bins + word(--bin))
    }
    let out = 0
    for (let i = 0; i < n; i++) {
      const v = load<f32>(p + word(i))
      const same = <i32>((orderOf(p + word(i)) >> by) & (radix - 1)) == bin
      store<f32>(p + word(out), v)
      out += i32(same)
    }
    n = here
    k -= above
  }
  return selectKth(p, n, k)
}

// The same by Hoare's selection, median of three.
function selectKth(p: usize, n: i32, k: i32): f32 {
  let lo = 0, hi = n - 1
  const target = k - 1
  while (lo < hi) {
    const a = load<f32>(p + word(lo))
    const b = load<f32>(p + word((lo + hi) >> 1))
    const c = load<f32>(p + word(hi))
    const pivot: f32 = max<f32>(min<f32>(a, b), min<f32>(max<f32>(a, b), c))
    let i = lo, j = hi
    while (i <= j) {
      while (load<f32>(p + word(i)) > pivot) i++
      while (load<f32>(p + word(j)) < pivot) j--
      if (i <= j) {
        const x = load<f32>(p + word(i))
        store<f32>(p + word(i), load<f32>(p + word(j)))
        store<f32>(p + word(j), x)
        i++
        j--
      }
    }
    if (target <= j) hi = j
    else if (target >= i) lo = i
    else break
  }
  return load<f32>(p + word(target))
}

// Keeps the k best of n ≥ k candidates in their order. values/indices are rewritten; temp holds n float32 and
// before them the radix counters.
// Returns the k-th value, the new threshold.
export function compact(values: usize, indices: usize, temp: usize, n: i32, k: i32): f32 {
  memory.copy(temp, values, word(n))
  const least = kthLargest(temp, n, k, temp - word(radix))
  let equals = k
  for (let i = 0; i < n; i++) equals -= i32(load<f32>(values + word(i)) > least)
  // Branch-free, since branches would be unpredictable: every candidate is written, those kept advance the end.
  let out = 0
  for (let i = 0; i < n; i++) {
    const v = load<f32>(values + word(i)), index = load<i32>(indices + word(i))
    const equal = i32(v == least) & i32(equals > 0)
    store<f32>(values + word(out), v)
    store<i32>(indices + word(out), index)
    equals -= equal
    out += equal | i32(v > least)
  }
  return least
}

/** Candidates kept before a selection. The host sizes scratch by the same rule (src/kernels.ts). */
@inline
export function capacityOf(m: i32, k: i32): i32 {
  return min(max(8 * k, 256), m)
}

@inline
function valueAt(row: usize, bias: usize, i: i32): f32 {
  const v = load<f32>(row + word(i))
  return bias ? v + load<f32>(bias + word(i)) : v
}

// The largest float32 below v; −∞ stays.
export function below(v: f32): f32 {
  if (v == 0) return reinterpret<f32>(0x80000001)
  if (v == -Infinity) return v
  const bits = reinterpret<i32>(v)
  return reinterpret<f32>(v > 0 ? bits - 1 : bits + 1)
}

// A value with at least k entries of the row ≥ it: the k-th largest of 2k or more maxima of disjoint groups in
// the first half, 32 groups (eight vectors of lanes) per stretch. −∞ if the row is too short to be worth it.
// NaN is skipped here (pmax keeps its first operand); the scan finds it.
function firstThreshold(row: usize, m: i32, bias: usize, k: i32, temp: usize): f32 {
  const stretches = (2 * k + 31) >> 5
  const length = (m / (2 * stretches)) & ~31
  if (length < 128) return -Infinity
  const low = f32x4.splat(-Infinity)
  for (let s = 0; s < stretches; s++) {
    const end = (s + 1) * length
    let m0 = low, m1 = low, m2 = low, m3 = low, m4 = low, m5 = low, m6 = low, m7 = low
    for (let j = s * length; j < end; j += 32) {
      const p = row + word(j)
      let a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), e = v128.load(p, 48)
      let f = v128.load(p, 64), g = v128.load(p, 80), h = v128.load(p, 96), i = v128.load(p, 112)
      if (bias) {
        const q = bias + word(j)
        a = f32x4.add(a, v128.load(q)); b = f32x4.add(b, v128.load(q, 16))
        c = f32x4.add(c, v128.load(q, 32)); e = f32x4.add(e, v128.load(q, 48))
        f = f32x4.add(f, v128.load(q, 64)); g = f32x4.add(g, v128.load(q, 80))
        h = f32x4.add(h, v128.load(q, 96)); i = f32x4.add(i, v128.load(q, 112))
      }
      m0 = f32x4.pmax(m0, a); m1 = f32x4.pmax(m1, b); m2 = f32x4.pmax(m2, c); m3 = f32x4.pmax(m3, e)
      m4 = f32x4.pmax(m4, f); m5 = f32x4.pmax(m5, g); m6 = f32x4.pmax(m6, h); m7 = f32x4.pmax(m7, i)
    }
    const q = temp + word(s << 5)
    v128.store(q, m0); v128.store(q, m1, 16); v128.store(q, m2, 32); v128.store(q, m3, 48)
    v128.store(q, m4, 64); v128.store(q, m5, 80); v128.store(q, m6, 96); v128.store(q, m7, 112)
  }
  return kthLargest(temp, stretches << 5, k, temp - word(radix))
}

// Collects the top k of one row in values/indices, by index. Returns how many are above −∞ (k, or fewer), or
// −1 if the row has a NaN: "not ≤ threshold" finds candidates and NaN with one comparison.
@inline
export function scanRow(row: usize, m: i32, bias: usize, k: i32, capacity: i32, values: usize, indices: usize, temp: usize): i32 {
  let threshold = below(firstThreshold(row, m, bias, k, temp))
  let t = f32x4.splat(threshold)
  let n = 0
  let j = 0
  for (; j + 16 <= m; j += 16) {
    const p = row + word(j)
    let a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), e = v128.load(p, 48)
    if (bias) {
      const q = bias + word(j)
      a = f32x4.add(a, v128.load(q))
      b = f32x4.add(b, v128.load(q, 16))
      c = f32x4.add(c, v128.load(q, 32))
      e = f32x4.add(e, v128.load(q, 48))
    }
    a = f32x4.le(a, t)
    b = f32x4.le(b, t)
    c = f32x4.le(c, t)
    e = f32x4.le(e, t)
    if (i32x4.bitmask(v128.and(v128.and(a, b), v128.and(c, e))) == 15) continue
    let mask = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, e))) ^ 0xffff
    while (mask) {
      const i = j + ctz(mask)
      mask &= mask - 1
      const v = valueAt(row, bias, i)
      if (v != v) return -1
      store<f32>(values + word(n), v)
      store<i32>(indices + word(n), i)
      n++
    }
    if (n >= capacity) {
      threshold = compact(values, indices, temp, n, k)
      t = f32x4.splat(threshold)
      n = k
    }
  }
  for (; j < m; j++) {
    const v = valueAt(row, bias, j)
    if (v != v) return -1
    if (v > threshold) {
      store<f32>(values + word(n), v)
      store<i32>(indices + word(n), j)
      n++
    }
  }
  if (n > k) {
    compact(values, indices, temp, n, k)
    n = k
  }
  return n
}

// A row with fewer than k values above −∞: the rest are its first −∞ entries. Rare, so kept simple.
export function fillRow(row: usize, m: i32, bias: usize, k: i32, n: i32, relu: i32, idx: usize, val: usize): void {
  let infinite = k - n
  let out = 0
  for (let j = 0; j < m && out < k; j++) {
    const v = valueAt(row, bias, j)
    if (v == -Infinity && infinite-- <= 0) continue
    store<i32>(idx + word(out), j)
    store<f32>(val + word(out), relu && !(v > 0) ? 0 : v)
    out++
  }
}

export function topkRows(
  pre: usize, ld: i32, rows: i32, m: i32, bias: usize, k: i32, relu: i32, idxOut: usize, valOut: usize, scratch: usize,
): void {
  const capacity = capacityOf(m, k)
  const values = scratch
  const indices = values + word(capacity + 16)
  const temp = indices + word(capacity + 16 + radix)
  for (let r = 0; r < rows; r++) {
    const row = pre + rowOf(r, ld)
    const idx = idxOut + rowOf(r, k), val = valOut + rowOf(r, k)
    const n = scanRow(row, m, bias, k, capacity, values, indices, temp)
    if (n < 0) {
      for (let i = 0; i < k; i++) {
        store<i32>(idx + word(i), i)
        store<f32>(val + word(i), NaN)
      }
    } else if (n < k) {
      fillRow(row, m, bias, k, n, relu, idx, val)
    } else {
      memory.copy(idx, indices, word(k))
      for (let i = 0; i < k; i++) {
        const v = load<f32>(values + word(i))
        store<f32>(val + word(i), relu && !(v > 0) ? 0 : v)
      }
    }
  }
}

export function gatherColumns(pre: usize, ld: i32, rows: i32, bias: usize, cols: usize, n: i32, out: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = pre + rowOf(r, ld), to = out + rowOf(r, n)
    for (let j = 0; j < n; j++) store<f32>(to + word(j), valueAt(row, bias, load<i32>(cols + word(j))))
  }
}

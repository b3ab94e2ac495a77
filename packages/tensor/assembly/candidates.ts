// A row's k largest by a screened encode, first half: reads the scores of a cheap product one block of latents at a time, while
// they are in the cache, and keeps only those that may be among the k. The error of the cheap scores is measured on
// latents chosen independently of their scores (screen.ts). Exact scores of the kept ones decide: settle.ts.
import { errorOf } from './screen'
import { below, compact, radix } from './topk'
import { rowOf, word } from './vector'

// The state of `rows` rows between blocks: floor (no latent left out scores above it), largest error, count (−1: NaN),
// then latents and scores of at most `cap` candidates per row, ascending by latent, and room for one more vector.
@inline
export function errorsAt(state: usize, rows: i32): usize {
  return state + word(rows)
}
@inline
export function countsAt(state: usize, rows: i32): usize {
  return state + 2 * word(rows)
}
@inline
export function latentsAt(state: usize, rows: i32, cap: i32, r: i32): usize {
  return state + 3 * word(rows) + rowOf(r, cap + 16)
}
@inline
export function scoresAt(state: usize, rows: i32, cap: i32, r: i32): usize {
  return latentsAt(state, rows, cap, rows + r)
}

@inline
function scores4(row: usize, o: usize, s: v128, bias: usize, factor: usize): v128 {
  const v = f32x4.add(f32x4.mul(v128.load(row + o), s), v128.load(bias + o))
  return factor ? f32x4.mul(v, v128.load(factor + o)) : v
}

@inline
function score1(row: usize, o: usize, s: f32, bias: usize, factor: usize): f32 {
  const v = load<f32>(row + o) * s + load<f32>(bias + o)
  return factor ? v * load<f32>(factor + o) : v
}

// How many of n float32 at p, n a multiple of four, are above t.
@inline
export function countAbove(p: usize, n: i32, t: f32): i32 {
  const t4 = f32x4.splat(t)
  let sum = i32x4.splat(0)
  for (let i = 0; i < n; i += 4) sum = i32x4.sub(sum, f32x4.gt(v128.load(p + word(i)), t4))
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
}

// The highest value found by `steps` halvings between lo and hi that at least k of n float32 at p exceed (k exceed lo). Stops
// early at exactly k. Selection's comparisons are unpredictable for the processor; counting has no branches.
@inline
export function halve(p: usize, n: i32, k: i32, lo: f32, hi: f32, steps: i32): f32 {
  if (!(hi - lo < Infinity)) return lo
  for (let i = 0; i < steps; i++) {
    const middle: f32 = lo + (hi - lo) * 0.5
    const count = countAbove(p, n, middle)
    lo = count >= k ? middle : lo
    hi = count >= k ? hi : middle
    if (count == k) break
  }
  return lo
}

// The least or largest of n float32 at p, n a multiple of four; NaN if one is.
@inline
export function leastOf(p: usize, n: i32): f32 {
  let v = v128.load(p)
  for (let i = 4; i < n; i += 4) v = f32x4.min(v, v128.load(p + word(i)))
  return min<f32>(
    min<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), min<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}
@inline
export function largestOf(p: usize, n: i32): f32 {
  let v = v128.load(p)
  for (let i = 4; i < n; i += 4) v = f32x4.max(v, v128.load(p + word(i)))
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}

// About the `rank`-th largest of the maxima of 32 · stretches groups of a block's row: the floor of candidates. −∞ if the row is
// too short. NaN is skipped here (pmax keeps its first operand).
@inline
function floorOf(
  row: usize, m: i32, s: v128, bias: usize, factor: usize, stretches: i32, rank: i32, temp: usize,
): f32 {
  const length = (m / stretches) & ~31
  if (length < 128) return -Infinity
  const low = f32x4.splat(-Infinity)
  for (let t = 0; t < stretches; t++) {
    const end = (t + 1) * length
    let m0 = low, m1 = low, m2 = low, m3 = low, m4 = low, m5 = low, m6 = low, m7 = low
    for (let j = t * length; j < end; j += 32) {
      const o = word(j)
      m0 = f32x4.pmax(m0, scores4(row, o, s, bias, factor)); m1 = f32x4.pmax(m1, scores4(row, o + 16, s, bias, factor))
      m2 = f32x4.pmax(m2, scores4(row, o + 32, s, bias, factor)); m3 = f32x4.pmax(m3, scores4(row, o + 48, s, bias, factor))
      m4 = f32x4.pmax(m4, scores4(row, o + 64, s, bias, factor)); m5 = f32x4.pmax(m5, scores4(row, o + 80, s, bias, factor))
      m6 = f32x4.pmax(m6, scores4(row, o + 96, s, bias, factor)); m7 = f32x4.pmax(m7, scores4(row, o + 112, s, bias, factor))
    }
    const q = temp + word(t << 5)
    v128.store(q, m0); v128.store(q, m1, 16); v128.store(q, m2, 32); v128.store(q, m3, 48)
    v128.store(q, m4, 64); v128.store(q, m5, 80); v128.store(q, m6, 96); v128.store(q, m7, 112)
  }
  const n = stretches << 5
  return halve(temp, n, rank, below(leastOf(temp, n)), largestOf(temp, n), 8)
}

/**
 * Adds to each row's candidates the latents [lo, lo + m) whose scores (pre[r][i] · scale[r] + bias[i]) · factor[i] exceed the
 * row's floor; blocks come in ascending order. `pre` [rows, m], `w` [m, d], `bias` and `factor` (0: none) are those of the block.
 * The block that begins at 0 decides the floor: about the `rank`-th largest of the maxima of 32 · `stretches` groups. Beyond `cap`
 * candidates only the `keep` highest stay. Errors are measured on `probes` latents of the block, a multiple of four or 0.
 * `state`: candidateBytes(rows, cap) of src/kernels.ts; `scratch`: 2,048 + max(cap + 16, 32 · stretches) words.
 */
export function gatherCandidates(
  pre: usize, rows: i32, m: i32, lo: i32, scale: usize, x: usize, d: i32, w: usize, bias: usize, factor: usize, probes: i32,
  stretches: i32, rank: i32, keep: i32, cap: i32, state: usize, scratch: usize,
): void {
  const temp = scratch + word(radix)
  for (let r = 0; r < rows; r++) {
    const row = pre + rowOf(r, m), o = word(r)
    const s = load<f32>(scale + o), s4 = f32x4.splat(s)
    const latents = latentsAt(state, rows, cap, r), scores = scoresAt(state, rows, cap, r)
    let n = lo ? load<i32>(countsAt(state, rows) + o) : 0
    if (n < 0) continue
    const error: f32 = probes ? errorOf(row, r, m, s, x + rowOf(r, d), d, w, bias, factor, probes, temp) : 0
    const before: f32 = lo ? load<f32>(errorsAt(state, rows) + o) : 0
    store<f32>(errorsAt(state, rows) + o, max<f32>(before, error))
    let floor: f32 = lo ? load<f32>(state + o) : floorOf(row, m, s4, bias, factor, stretches, rank, temp)
    let t = f32x4.splat(floor)
    let j = 0
    for (; j + 16 <= m && n >= 0; j += 16) {
      const p = word(j)
      const a = f32x4.le(scores4(row, p, s4, bias, factor), t), b = f32x4.le(scores4(row, p + 16, s4, bias, factor), t)
      const c = f32x4.le(scores4(row, p + 32, s4, bias, factor), t), e = f32x4.le(scores4(row, p + 48, s4, bias, factor), t)
      if (i32x4.bitmask(v128.and(v128.and(a, b), v128.and(c, e))) == 15) continue
      let mask = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, e))) ^ 0xffff
      while (mask) {
        const i = j + ctz(mask)
        mask &= mask - 1
        const v = score1(row, word(i), s, bias, factor)
        if (v != v) {
          n = -1
          break
        }
        store<f32>(scores + word(n), v)
        store<i32>(latents + word(n), lo + i)
        n++
      }
      if (n >= cap) {
        floor = compact(scores, latents, temp, n, keep)
        t = f32x4.splat(floor)
        n = keep
      }
    }
    for (; j < m && n >= 0; j++) {
      const v = score1(row, word(j), s, bias, factor)
      if (v <= floor) continue
      store<f32>(scores + word(n), v)
      store<i32>(latents + word(n), lo + j)
      n = v == v ? n + 1 : -1
    }
    if (n >= cap) {
      floor = compact(scores, latents, temp, n, keep)
      n = keep
    }
    store<f32>(state + o, floor)
    store<i32>(countsAt(state, rows) + o, n)
  }
}

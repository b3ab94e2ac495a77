// A row's k largest by a screened encode: the scores of a cheap product are read block by block of latents, while they are in
// the cache, and only what may be among the k is kept. Exact scores of that decide. What the cheap scores may be off is
// measured on latents that nothing has selected (screen.ts); a row that this does not settle is told to the host.
import { errorOf, errorsToMargin, keepLargest } from './screen'
import { below, capacityOf, compact, kthLargest, radix, scanRow } from './topk'
import { dot, dot4, rowOf, word } from './vector'

// The state of `rows` rows between blocks: floor (no latent left out scores above it), largest error, count (−1: not a
// number), then latents and scores of at most `cap` candidates a row, ascending by latent, and room for one vector more.
@inline
function errorsAt(state: usize, rows: i32): usize {
  return state + word(rows)
}
@inline
function countsAt(state: usize, rows: i32): usize {
  return state + 2 * word(rows)
}
@inline
function latentsAt(state: usize, rows: i32, cap: i32, r: i32): usize {
  return state + 3 * word(rows) + rowOf(r, cap + 16)
}
@inline
function scoresAt(state: usize, rows: i32, cap: i32, r: i32): usize {
  return latentsAt(state, rows, cap, rows + r)
}

// `normed`, here and below, is a literal at every call, so inlining leaves one loop for each case.
@inline
function scores4(row: usize, o: usize, s: v128, bias: usize, factor: usize, normed: bool): v128 {
  const v = f32x4.add(f32x4.mul(v128.load(row + o), s), v128.load(bias + o))
  return normed ? f32x4.mul(v, v128.load(factor + o)) : v
}

@inline
function score1(row: usize, o: usize, s: f32, bias: usize, factor: usize): f32 {
  const v = load<f32>(row + o) * s + load<f32>(bias + o)
  return factor ? v * load<f32>(factor + o) : v
}

// How many of n float32 at p, a multiple of four, are above t.
@inline
function countAbove(p: usize, n: i32, t: f32): i32 {
  const t4 = f32x4.splat(t)
  let sum = i32x4.splat(0)
  for (let i = 0; i < n; i += 4) sum = i32x4.sub(sum, f32x4.gt(v128.load(p + word(i)), t4))
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3)
}

// A value that k or more of n float32 at p exceed, as high as `steps` halvings find one between lo, which k exceed, and hi. It stops
// where just k do. Selections compare in an order that cannot be predicted; counting has none.
@inline
function halve(p: usize, n: i32, k: i32, lo: f32, hi: f32, steps: i32): f32 {
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

// The least or largest of n float32 at p, a multiple of four; NaN where one is.
@inline
function leastOf(p: usize, n: i32): f32 {
  let v = v128.load(p)
  for (let i = 4; i < n; i += 4) v = f32x4.min(v, v128.load(p + word(i)))
  return min<f32>(
    min<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), min<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}
@inline
function largestOf(p: usize, n: i32): f32 {
  let v = v128.load(p)
  for (let i = 4; i < n; i += 4) v = f32x4.max(v, v128.load(p + word(i)))
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  )
}

// About the `rank`-th largest of the maxima of 32 · stretches groups of a block's row: where candidates begin. −∞ when the row is
// too short. NaN is passed over here (pmax keeps its first operand).
@inline
function floorOf(
  row: usize, m: i32, s: v128, bias: usize, factor: usize, normed: bool, stretches: i32, rank: i32, temp: usize,
): f32 {
  const length = (m / stretches) & ~31
  if (length < 128) return -Infinity
  const low = f32x4.splat(-Infinity)
  for (let t = 0; t < stretches; t++) {
    const end = (t + 1) * length
    let m0 = low, m1 = low, m2 = low, m3 = low, m4 = low, m5 = low, m6 = low, m7 = low
    for (let j = t * length; j < end; j += 32) {
      const o = word(j)
      m0 = f32x4.pmax(m0, scores4(row, o, s, bias, factor, normed)); m1 = f32x4.pmax(m1, scores4(row, o + 16, s, bias, factor, normed))
      m2 = f32x4.pmax(m2, scores4(row, o + 32, s, bias, factor, normed)); m3 = f32x4.pmax(m3, scores4(row, o + 48, s, bias, factor, normed))
      m4 = f32x4.pmax(m4, scores4(row, o + 64, s, bias, factor, normed)); m5 = f32x4.pmax(m5, scores4(row, o + 80, s, bias, factor, normed))
      m6 = f32x4.pmax(m6, scores4(row, o + 96, s, bias, factor, normed)); m7 = f32x4.pmax(m7, scores4(row, o + 112, s, bias, factor, normed))
    }
    const q = temp + word(t << 5)
    v128.store(q, m0); v128.store(q, m1, 16); v128.store(q, m2, 32); v128.store(q, m3, 48)
    v128.store(q, m4, 64); v128.store(q, m5, 80); v128.store(q, m6, 96); v128.store(q, m7, 112)
  }
  const n = stretches << 5
  return halve(temp, n, rank, below(leastOf(temp, n)), largestOf(temp, n), 8)
}

@inline
function gatherRows(
  normed: bool, pre: usize, rows: i32, m: i32, lo: i32, scale: usize, x: usize, d: i32, w: usize, bias: usize, factor: usize,
  probes: i32, stretches: i32, rank: i32, keep: i32, cap: i32, state: usize, scratch: usize,
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
    let floor: f32 = lo ? load<f32>(state + o) : floorOf(row, m, s4, bias, factor, normed, stretches, rank, temp)
    let t = f32x4.splat(floor)
    let j = 0
    for (; j + 16 <= m && n >= 0; j += 16) {
      const p = word(j)
      const a = f32x4.le(scores4(row, p, s4, bias, factor, normed), t), b = f32x4.le(scores4(row, p + 16, s4, bias, factor, normed), t)
      const c = f32x4.le(scores4(row, p + 32, s4, bias, factor, normed), t), e = f32x4.le(scores4(row, p + 48, s4, bias, factor, normed), t)
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

/**
 * Adds to each row's candidates the latents [lo, lo + m) whose scores (pre[r][i] · scale[r] + bias[i]) · factor[i] exceed the
 * row's floor; blocks come in ascending order. `pre` [rows, m], `w` [m, d], `bias` and `factor` (0: none) are those of the block.
 * The block that begins at 0 decides the floor: the `rank`-th largest of the maxima of 32 · `stretches` groups. More than `cap`
 * candidates and the `keep` highest stay. Errors are measured on `probes` latents of the block, a multiple of four or 0.
 * `state`: candidateBytes(rows, cap) of src/kernels.ts; `scratch`: 2,048 + max(cap + 16, 32 · stretches) words.
 */
export function gatherCandidates(
  pre: usize, rows: i32, m: i32, lo: i32, scale: usize, x: usize, d: i32, w: usize, bias: usize, factor: usize, probes: i32,
  stretches: i32, rank: i32, keep: i32, cap: i32, state: usize, scratch: usize,
): void {
  if (factor) {
    gatherRows(true, pre, rows, m, lo, scale, x, d, w, bias, factor, probes, stretches, rank, keep, cap, state, scratch)
  } else gatherRows(false, pre, rows, m, lo, scale, x, d, w, bias, factor, probes, stretches, rank, keep, cap, state, scratch)
}

// The exact scores of a row that candidates do not settle, and its k largest. @returns false where they have no order
function exactRow(
  m: i32, x: usize, d: i32, w: usize, bias: usize, factor: usize, k: i32, idx: usize, val: usize, all: usize,
): bool {
  let i = 0
  for (; i + 4 <= m; i += 4) {
    dot4(x, w + rowOf(i, d), w + rowOf(i + 1, d), w + rowOf(i + 2, d), w + rowOf(i + 3, d), d, all + word(i))
  }
  for (; i < m; i++) store<f32>(all + word(i), dot(x, w + rowOf(i, d), d))
  for (i = 0; i < m; i++) {
    const v = load<f32>(all + word(i)) + load<f32>(bias + word(i))
    store<f32>(all + word(i), factor ? v * load<f32>(factor + word(i)) : v)
  }
  const capacity = capacityOf(m, k)
  const values = all + word(m), list = values + word(capacity + 16), temp = list + word(capacity + 16 + radix)
  if (scanRow(all, m, 0, k, capacity, values, list, temp) < k) return false
  memory.copy(idx, list, word(k))
  for (i = 0; i < k; i++) store<f32>(val + word(i), max<f32>(load<f32>(values + word(i)), 0))
  return true
}

// Lists of what is scored exactly, of all rows one after another: latent, cheap score, exact score, and the same by latent: row and
// place in the lists. `room` entries each.
@inline
function listAt(lists: usize, room: i32, which: i32): usize {
  return lists + rowOf(which, room)
}

// How far below the k-th highest cheap score a candidate is still scored, in margins: the margin, and what the k-th exact score
// may lie below the k-th cheap one.
const reach: f32 = 1.5

// Appends a row's candidates that may be among its k. @returns the end of the lists; none are appended where the floor is so high
// that exact scores will not settle the row. The floor rises to what is left out here.
function chooseRow(
  latents: usize, scores: usize, n: i32, floorAt: usize, margin: f32, k: i32, lists: usize, room: i32, at: i32,
): i32 {
  const padded = (n + 3) & ~3
  for (let i = n; i < padded; i++) store<f32>(scores + word(i), -Infinity)
  const floor = load<f32>(floorAt), most = floor + margin
  // A little less than the k-th: `reach` has room for that.
  const best = halve(scores, padded, k, floor, largestOf(scores, padded), 10)
  if (!(most <= 0 || best + (reach - 1) * margin > most)) return at
  const cut = best - reach * margin
  if (cut > floor) store<f32>(floorAt, cut)
  // Without branches, which could not be predicted.
  for (let i = 0; i < n; i++) {
    const v = load<f32>(scores + word(i))
    store<i32>(listAt(lists, room, 0) + word(at), load<i32>(latents + word(i)))
    store<f32>(listAt(lists, room, 1) + word(at), v)
    at += i32(v >= cut)
  }
  return at
}

// Exact scores of all that is listed, latent by latent: W_enc is read once, in order, and only the rows of x are met in any order.
// `starts`: m + 1 words; `four`: four.
function scoreLists(
  rows: i32, m: i32, x: usize, d: i32, w: usize, bias: usize, factor: usize, spans: usize, lists: usize, room: i32, starts: usize,
  four: usize,
): void {
  const latents = listAt(lists, room, 0), exact = listAt(lists, room, 2)
  const byRow = listAt(lists, room, 3), places = listAt(lists, room, 4)
  const n = load<i32>(spans + word(rows))
  memory.fill(starts, 0, word(m + 1))
  for (let p = 0; p < n; p++) {
    const s = starts + word(load<i32>(latents + word(p)))
    store<i32>(s, load<i32>(s) + 1)
  }
  let sum = 0
  for (let i = 0; i <= m; i++) {
    sum += load<i32>(starts + word(i))
    store<i32>(starts + word(i), sum)
  }
  // Filling from the back turns ends into starts.
  for (let r = rows - 1; r >= 0; r--) {
    for (let p = load<i32>(spans + word(r + 1)) - 1; p >= load<i32>(spans + word(r)); p--) {
      const s = starts + word(load<i32>(latents + word(p)))
      const at = load<i32>(s) - 1
      store<i32>(s, at)
      store<i32>(byRow + word(at), r)
      store<i32>(places + word(at), p)
    }
  }
  for (let i = 0; i < m; i++) {
    const end = load<i32>(starts + word(i + 1))
    const b = load<f32>(bias + word(i)), f: f32 = factor ? load<f32>(factor + word(i)) : 1
    for (let t = load<i32>(starts + word(i)); t < end; t += 4) {
      const count = min(4, end - t), at = byRow + word(t)
      const r0 = load<i32>(at)
      const r1 = count > 1 ? load<i32>(at, 4) : r0, r2 = count > 2 ? load<i32>(at, 8) : r0
      if (count == 1) store<f32>(four, dot(w + rowOf(i, d), x + rowOf(r0, d), d))
      else {
        const r3 = count > 3 ? load<i32>(at, 12) : r0
        dot4(w + rowOf(i, d), x + rowOf(r0, d), x + rowOf(r1, d), x + rowOf(r2, d), x + rowOf(r3, d), d, four)
      }
      for (let u = 0; u < count; u++) {
        const v = load<f32>(four + word(u)) + b
        store<f32>(exact + word(load<i32>(places + word(t + u))), factor ? v * f : v)
      }
    }
  }
}

// The k-th largest of n float32 at p without NaN, by halving unless some are equal or hardly differ.
function kthOf(p: usize, n: i32, k: i32, temp: usize): f32 {
  const padded = (n + 3) & ~3
  memory.copy(temp, p, word(n))
  for (let i = n; i < padded; i++) store<f32>(temp + word(i), Infinity)
  const lo = below(leastOf(temp, padded))
  for (let i = n; i < padded; i++) store<f32>(temp + word(i), -Infinity)
  const t = halve(temp, padded, k, lo, largestOf(temp, padded), 24)
  if (countAbove(temp, padded, t) != k) return kthLargest(temp, n, k, temp - word(radix))
  const t4 = f32x4.splat(t), high = f32x4.splat(Infinity)
  for (let i = 0; i < padded; i += 4) {
    const v = v128.load(temp + word(i))
    v128.store(temp + word(i), v128.bitselect(v, high, f32x4.gt(v, t4)))
  }
  return leastOf(temp, padded)
}

// The k of a row's list with the largest exact scores. @returns whether that settles the row: none left out can be among the k, and no
// score is above its cheap one by more than the margin.
function settleRow(
  latents: usize, scores: usize, exact: usize, n: i32, floor: f32, margin: f32, k: i32, idx: usize, val: usize, temp: usize,
): bool {
  let above: f32 = -Infinity
  // max and NaN give NaN.
  for (let i = 0; i < n; i++) above = max<f32>(above, load<f32>(exact + word(i)) - load<f32>(scores + word(i)))
  if (!(above <= margin)) return false
  const least = kthOf(exact, n, k, temp)
  const most = floor + margin
  if (!(most <= 0 || least > most)) return false
  keepLargest(latents, exact, n, k, least, idx, val)
  return true
}

/**
 * The k latents of each row with the largest exact scores (⟨x, w_i⟩ + bias[i]) · factor[i] of all m, ascending, ties to the lower
 * latent, from the candidates that gatherCandidates has left; scores that are not positive become 0. Of rows that
 * candidates do not settle, up to `spare` get exact scores of all latents. `unsettled` receives the number of rows that are
 * still open; what is written for those means nothing. `scratch`: settleScratchBytes(rows, m, k, cap) of src/kernels.ts.
 */
export function settleCandidates(
  rows: i32, m: i32, x: usize, d: i32, w: usize, bias: usize, factor: usize, k: i32, cap: i32, spare: i32, state: usize,
  idxOut: usize, valOut: usize, unsettled: usize, scratch: usize,
): void {
  const room = rows * (cap + 16)
  const temp = scratch + word(radix), spans = temp + word(cap + 16), lists = spans + word(rows + 1)
  const starts = lists + rowOf(5, room), all = starts + word(m + 1)
  let end = 0
  for (let r = 0; r < rows; r++) {
    store<i32>(spans + word(r), end)
    const n = load<i32>(countsAt(state, rows) + word(r))
    if (n < k) continue
    const margin = errorsToMargin * load<f32>(errorsAt(state, rows) + word(r))
    end = chooseRow(
      latentsAt(state, rows, cap, r), scoresAt(state, rows, cap, r), n, state + word(r), margin, k, lists, room, end,
    )
  }
  store<i32>(spans + word(rows), end)
  scoreLists(rows, m, x, d, w, bias, factor, spans, lists, room, starts, all)
  let open = 0, left = spare
  for (let r = 0; r < rows; r++) {
    const from = load<i32>(spans + word(r)), n = load<i32>(spans + word(r + 1)) - from
    const idx = idxOut + rowOf(r, k), val = valOut + rowOf(r, k)
    const margin = errorsToMargin * load<f32>(errorsAt(state, rows) + word(r))
    let settled = n >= k && settleRow(
      listAt(lists, room, 0) + word(from), listAt(lists, room, 1) + word(from), listAt(lists, room, 2) + word(from), n,
      load<f32>(state + word(r)), margin, k, idx, val, temp,
    )
    if (!settled && load<i32>(countsAt(state, rows) + word(r)) >= 0 && left > 0) {
      settled = exactRow(m, x + rowOf(r, d), d, w, bias, factor, k, idx, val, all)
      left--
    }
    open += i32(!settled)
  }
  store<i32>(unsettled, open)
}

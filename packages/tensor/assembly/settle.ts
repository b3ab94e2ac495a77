// A row's k largest by a screened encode, second half: exact scores of the candidates (candidates.ts) decide. A row that they
// do not settle gets exact scores of all latents, or is reported to the host.
import { countAbove, countsAt, errorsAt, halve, largestOf, latentsAt, leastOf, scoresAt } from './candidates'
import { errorsToMargin, keepLargest } from './screen'
import { below, capacityOf, kthLargest, radix, scanRow } from './topk'
import { dot, dot4, rowOf, word } from './vector'

// The exact scores of a row that candidates do not settle, and its k largest. @returns false if they have no order
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

// Lists of what to score exactly, all rows one after another: latent, cheap score, exact score, and the same by latent: row and
// index in the lists. `room` entries each.
@inline
function listAt(lists: usize, room: i32, which: i32): usize {
  return lists + rowOf(which, room)
}

// How far below the k-th highest cheap score a candidate is still scored, in margins: its own, and that by which the k-th exact
// score may be below the k-th cheap one.
const reach: f32 = 1.5

// Appends a row's candidates that may be among its k. @returns the end of the lists; none are appended if the floor is so high
// that exact scores cannot settle the row. The floor rises to the highest score left out here.
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
  // Branch-free, since branches would be unpredictable.
  for (let i = 0; i < n; i++) {
    const v = load<f32>(scores + word(i))
    store<i32>(listAt(lists, room, 0) + word(at), load<i32>(latents + word(i)))
    store<f32>(listAt(lists, room, 1) + word(at), v)
    at += i32(v >= cut)
  }
  return at
}

// Exact scores of everything listed, latent by latent: W_enc is read once, in order, and only the rows of x in random order.
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

// The k-th largest of n float32 at p without NaN, by halving, unless some are equal or nearly so.
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
// score exceeds its cheap one by more than the margin.
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
 * latent, from gatherCandidates' candidates; scores that are not positive become 0. Of rows that
 * candidates do not settle, up to `spare` get exact scores of all latents. `unsettled` receives the number of rows
 * still open; their output is meaningless. `scratch`: settleScratchBytes(rows, m, k, cap) of src/kernels.ts.
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

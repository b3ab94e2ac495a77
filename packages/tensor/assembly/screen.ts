// A screened encode: scores of a cheap product choose candidates, and exact scores choose among them. The error of the cheap
// ones is measured, row by row, on latents chosen independently of their scores. This file serves BatchTopK, which knows
// its threshold beforehand, and the float32 product; candidates.ts has the rows' k largest.
import { dotRow } from './hits'
import { capacityOf, fillRow, kthLargest, radix, scanRow } from './topk'
import { dot4, rowOf, word } from './vector'

// The margin of a score, in largest errors of its row's probes: with sixteen normal errors that is about eight
// standard deviations.
export const errorsToMargin: f32 = 4

// Spread over the row, and different for every sixteen rows, which share the rows of W_enc in the cache.
@inline
function probeOf(t: i32, r: i32, m: i32, probes: i32): i32 {
  return <i32>(((<i64>t * m) / probes + (r >> 4)) % m)
}

// The largest error of `probes` latents (a multiple of four) of a row; ∞ if one is NaN. `four`: room for four float32.
export function errorOf(
  row: usize, r: i32, m: i32, s: f32, x: usize, d: i32, w: usize, bias: usize, factor: usize, probes: i32, four: usize,
): f32 {
  let most: f32 = 0
  for (let t = 0; t < probes; t += 4) {
    dot4(
      x, w + rowOf(probeOf(t, r, m, probes), d), w + rowOf(probeOf(t + 1, r, m, probes), d),
      w + rowOf(probeOf(t + 2, r, m, probes), d), w + rowOf(probeOf(t + 3, r, m, probes), d), d, four,
    )
    for (let u = 0; u < 4; u++) {
      const o = word(probeOf(t + u, r, m, probes))
      const f: f32 = factor ? load<f32>(factor + o) : 1
      const b = load<f32>(bias + o)
      // max and NaN give NaN.
      most = max<f32>(most, abs<f32>((load<f32>(row + o) * s + b) * f - (load<f32>(four + word(u)) + b) * f))
    }
  }
  return most == most ? most : Infinity
}

/**
 * pre[r][i] = (pre[r][i] · scale[r] + bias[i]) · factor[i] + margin[r], [rows, m] in place: from an eight-bit product of rows
 * with one scale each to a bound that exact scores (⟨x, w_i⟩ + bias[i]) · factor[i] stay below. The margin is measured on
 * `probes` latents per row, a multiple of four. `factor` 0: none. `scratch`: four float32.
 */
export function upperScores(
  pre: usize, rows: i32, m: i32, scale: usize, x: usize, d: i32, w: usize, bias: usize, factor: usize, probes: i32,
  scratch: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const line = pre + rowOf(r, m)
    const s = load<f32>(scale + word(r)), s4 = f32x4.splat(s)
    const margin = errorsToMargin * errorOf(line, r, m, s, x + rowOf(r, d), d, w, bias, factor, probes, scratch), margin4 = f32x4.splat(margin)
    let j = 0
    if (factor) {
      for (; j + 4 <= m; j += 4) {
        const o = word(j)
        const v = f32x4.add(f32x4.mul(v128.load(line + o), s4), v128.load(bias + o))
        v128.store(line + o, f32x4.add(f32x4.mul(v, v128.load(factor + o)), margin4))
      }
    } else {
      for (; j + 4 <= m; j += 4) {
        const o = word(j)
        const v = f32x4.add(f32x4.mul(v128.load(line + o), s4), v128.load(bias + o))
        v128.store(line + o, f32x4.add(v, margin4))
      }
    }
    for (; j < m; j++) {
      const o = word(j)
      const v = load<f32>(line + o) * s + load<f32>(bias + o)
      store<f32>(line + o, (factor ? v * load<f32>(factor + o) : v) + margin)
    }
  }
}

// Exact scores of n candidates at `list`: (⟨x, w_i⟩ + bias[i]) · factor[i].
function exactScores(x: usize, d: i32, w: usize, bias: usize, factor: usize, list: usize, n: i32, out: usize): void {
  dotRow(x, list, n, w, d, out)
  for (let i = 0; i < n; i++) {
    const latent = word(load<i32>(list + word(i)))
    const v = load<f32>(out + word(i)) + load<f32>(bias + latent)
    store<f32>(out + word(i), factor ? v * load<f32>(factor + latent) : v)
  }
}

// The k largest of n exact scores, by latent; scores that are not positive become 0.
export function keepLargest(list: usize, score: usize, n: i32, k: i32, least: f32, idx: usize, val: usize): void {
  let equals = k, out = 0
  for (let i = 0; i < n; i++) equals -= i32(load<f32>(score + word(i)) > least)
  // Branch-free, since branches would be unpredictable: every latent is written, those kept advance the end.
  for (let i = 0; i < n && out < k; i++) {
    const v = load<f32>(score + word(i))
    const equal = i32(v == least) & i32(equals > 0)
    store<i32>(idx + word(out), load<i32>(list + word(i)))
    store<f32>(val + word(out), v > 0 ? v : 0)
    equals -= equal
    out += equal | i32(v > least)
  }
}

/**
 * Of each row of scores `pre` [rows, m] the k latents with the largest exact scores (⟨x, w_i⟩ + bias[i]) · factor[i] among the
 * c that `pre` ranks highest, ascending, ties to the lower latent; exact scores that are not positive become 0. `factor` 0:
 * none. A row with a NaN gives latents 0 … k−1 with NaN. `scratch`: that of topkRows for c, then c float32.
 */
export function rescoreRows(
  pre: usize, rows: i32, m: i32, x: usize, d: i32, w: usize, bias: usize, factor: usize, k: i32, c: i32,
  idxOut: usize, valOut: usize, scratch: usize,
): void {
  const capacity = capacityOf(m, c)
  const values = scratch
  const list = values + word(capacity + 16)
  const temp = list + word(capacity + 16 + radix)
  const score = temp + word(capacity + 16)
  for (let r = 0; r < rows; r++) {
    const row = pre + rowOf(r, m), idx = idxOut + rowOf(r, k), val = valOut + rowOf(r, k)
    const n = scanRow(row, m, 0, c, capacity, values, list, temp)
    if (n >= 0 && n < k) {
      fillRow(row, m, 0, k, n, 1, idx, val)
      continue
    }
    let ordered = n >= 0
    if (ordered) {
      exactScores(x + rowOf(r, d), d, w, bias, factor, list, n, score)
      for (let i = 0; i < n; i++) ordered = ordered && load<f32>(score + word(i)) == load<f32>(score + word(i))
    }
    if (!ordered) {
      for (let i = 0; i < k; i++) {
        store<i32>(idx + word(i), i)
        store<f32>(val + word(i), NaN)
      }
      continue
    }
    memory.copy(temp, score, word(n))
    keepLargest(list, score, n, k, kthLargest(temp, n, k, temp - word(radix)), idx, val)
  }
}

/**
 * val[p] = (exact[p] + bias[idx[p]]) · factor[idx[p]] for the hits of all rows' spans (`factor` 0: none); `above` receives
 * the largest excess over what val held, as float32: −∞ for no hits, NaN if one is NaN.
 */
export function settleSpans(
  idx: usize, val: usize, exact: usize, from: usize, to: usize, rows: i32, bias: usize, factor: usize, above: usize,
): void {
  let most: f32 = -Infinity
  for (let r = 0; r < rows; r++) {
    const end = load<i32>(to + word(r))
    for (let p = load<i32>(from + word(r)); p < end; p++) {
      const i = word(load<i32>(idx + word(p))), o = word(p)
      let v = load<f32>(exact + o) + load<f32>(bias + i)
      if (factor) v *= load<f32>(factor + i)
      // max and NaN give NaN.
      most = max<f32>(most, v - load<f32>(val + o))
      store<f32>(val + o, v)
    }
  }
  store<f32>(above, most)
}

// The encoder's own steps at inference: rows normalised and restored, and lists of firing latents without gaps.
import { decodeRow } from './decode'
import { rowOf, squares, word } from './vector'

// shift and factor that undo a row's normalisation: row · factor + shift.
@inline
function keepScale(stats: usize, r: i32, shift: f64, factor: f64): void {
  store<f32>(stats + word(2 * r), <f32>shift)
  store<f32>(stats + word(2 * r + 1), <f32>factor)
}

/**
 * Normalises columns [0, d) of rows `ld` apart in place: kind 1, times √d/‖row‖ (a zero row is unchanged); kind 2,
 * (x − μ)/(σ + 1e-5) with σ over d − 1. `stats` [rows][2] float32 receives shift and factor that undo it.
 */
export function normaliseSpan(x: usize, rows: i32, ld: i32, d: i32, kind: i32, stats: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, ld)
    if (kind == 1) {
      const factor = sqrt<f64>(squares(row, d) / <f64>d)
      keepScale(stats, r, 0, factor)
      if (factor == 0) continue
      for (let j = 0; j < d; j++) store<f32>(row + word(j), <f32>(<f64>load<f32>(row + word(j)) / factor))
      continue
    }
    let sum: f64 = 0
    for (let j = 0; j < d; j++) sum += <f64>load<f32>(row + word(j))
    const mean = sum / <f64>d
    let square: f64 = 0
    for (let j = 0; j < d; j++) {
      const v = <f64>load<f32>(row + word(j)) - mean
      square += v * v
    }
    const sigma = sqrt<f64>(square / <f64>max(d - 1, 1))
    keepScale(stats, r, mean, sigma)
    const s = 1 / (sigma + 1e-5)
    for (let j = 0; j < d; j++) store<f32>(row + word(j), <f32>((<f64>load<f32>(row + word(j)) - mean) * s))
  }
}

/** x · factor + shift on columns [0, d) of rows `ld` apart. */
export function restoreSpan(x: usize, rows: i32, ld: i32, d: i32, stats: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, ld)
    const shift = <f64>load<f32>(stats + word(2 * r)), factor = <f64>load<f32>(stats + word(2 * r + 1))
    for (let j = 0; j < d; j++) {
      store<f32>(row + word(j), <f32>(<f64>load<f32>(row + word(j)) * factor + shift))
    }
  }
}

/** Drops the zeros of even rows of k hits in place; starts [rows + 1] of what is left (NaN stays). */
export function packRows(idx: usize, val: usize, rows: i32, k: i32, starts: usize): void {
  let out = 0
  store<i32>(starts, 0)
  for (let r = 0; r < rows; r++) {
    const end = (r + 1) * k
    for (let p = r * k; p < end; p++) {
      const v = load<f32>(val + word(p))
      if (v == 0) continue
      store<i32>(idx + word(out), load<i32>(idx + word(p)))
      store<f32>(val + word(out), v)
      out++
    }
    store<i32>(starts + word(r + 1), out)
  }
}

/**
 * Gated: of the hits whose gate is open (`starts`, `idx`) keeps those with z·exp(r_mag) + b_mag > 0, with that value; z is
 * read from `pre`, `er` holds exp(r_mag). In place; NaN stays.
 */
export function gateSpans(pre: usize, ld: i32, rows: i32, er: usize, bMag: usize, starts: usize, idx: usize, val: usize): void {
  let out = 0, p = 0
  for (let r = 0; r < rows; r++) {
    const line = pre + rowOf(r, ld)
    const end = load<i32>(starts + word(r + 1))
    for (; p < end; p++) {
      const i = word(load<i32>(idx + word(p)))
      const v = load<f32>(line + i) * load<f32>(er + i) + load<f32>(bMag + i)
      if (v <= 0) continue
      store<i32>(idx + word(out), load<i32>(idx + word(p)))
      store<f32>(val + word(out), v)
      out++
    }
    store<i32>(starts + word(r + 1), out)
  }
}

// Hits of a row processed before switching to the next row.
const stretch: i32 = 64

/**
 * out[r] = init[r] + Σ val·wDec[idx] over the row's span, as decodeSpans and with its bits; rows in which a large part
 * of all latents fires are processed in stretches, so that they use the same decoder rows while those are in the cache.
 * `initStride` 0: one row for all; out may be init.
 */
export function decodeLists(
  idx: usize, val: usize, from: usize, to: usize, rows: i32, wDec: usize, d: i32, init: usize, initStride: i32, out: usize,
): void {
  let longest = 0
  for (let r = 0; r < rows; r++) longest = max(longest, load<i32>(to + word(r)) - load<i32>(from + word(r)))
  for (let i = 0; i == 0 || i < longest; i += stretch) {
    for (let r = 0; r < rows; r++) {
      const p = load<i32>(from + word(r)) + i, n = min(stretch, load<i32>(to + word(r)) - p), row = out + rowOf(r, d)
      if (n <= 0 && i > 0) continue
      decodeRow(idx + word(p), val + word(p), n, wDec, d, i == 0 ? init + word(r * initStride) : row, row)
    }
  }
}

// Rows of activations: normalisation, and the sums behind the metrics.
import { laneSum64, low64, high64, rowOf, squares, word } from './vector'

/** Each row times √d/‖row‖; a zero row is unchanged. */
export function tokenRmsRows(x: usize, rows: i32, d: i32): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d)
    const norm = sqrt<f64>(squares(row, d))
    if (!(norm > 0)) continue
    const s = <f32>(sqrt<f64>(<f64>d) / norm)
    for (let j = 0; j < d; j++) store<f32>(row + word(j), s * load<f32>(row + word(j)))
  }
}

/** (x − μ)/(σ + 1e-5), σ over d − 1 (as SAELens). */
export function layerNormRows(x: usize, rows: i32, d: i32): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d)
    let sum: f64 = 0
    for (let j = 0; j < d; j++) sum += <f64>load<f32>(row + word(j))
    const mean = sum / <f64>d
    let square: f64 = 0
    for (let j = 0; j < d; j++) {
      const v = <f64>load<f32>(row + word(j)) - mean
      square += v * v
    }
    const s = 1 / (sqrt<f64>(square / <f64>max(d - 1, 1)) + 1e-5)
    for (let j = 0; j < d; j++) store<f32>(row + word(j), <f32>((<f64>load<f32>(row + word(j)) - mean) * s))
  }
}

/**
 * Sums over rows of y and e = x̂ − y, float64: by column Σ y, Σ y², Σ e² [3][d], and in `totals` Σ‖x̂‖², Σ x̂·y,
 * Σ cos(x̂, y), Σ ‖x̂‖/‖y‖ (rows of norm 0 add 0). `eScale`: e times this is the error.
 */
export function reconstructionSums(y: usize, e: usize, rows: i32, d: i32, eScale: f32, columns: usize, totals: usize): void {
  memory.fill(columns, 0, <usize>d * 24)
  const second = <usize>d << 3, third = second * 2
  let all: f64 = 0, product: f64 = 0, cosine: f64 = 0, ratio: f64 = 0
  const s = f64x2.splat(<f64>eScale)
  for (let r = 0; r < rows; r++) {
    const a = y + rowOf(r, d), b = e + rowOf(r, d)
    let yy = f64x2.splat(0), hh = yy, hy = yy
    let j = 0
    for (; j + 4 <= d; j += 4) {
      const v = v128.load(a + word(j)), w = v128.load(b + word(j))
      for (let half = 0; half < 2; half++) {
        const p = half ? high64(v) : low64(v)
        const q = f64x2.mul(s, half ? high64(w) : low64(w))
        const h = f64x2.add(p, q)
        const at = columns + (<usize>(j + 2 * half) << 3)
        const pp = f64x2.mul(p, p)
        v128.store(at, f64x2.add(v128.load(at), p))
        v128.store(at + second, f64x2.add(v128.load(at + second), pp))
        v128.store(at + third, f64x2.relaxed_madd(q, q, v128.load(at + third)))
        yy = f64x2.add(yy, pp)
        hh = f64x2.relaxed_madd(h, h, hh)
        hy = f64x2.relaxed_madd(h, p, hy)
      }
    }
    let y2 = laneSum64(yy), h2 = laneSum64(hh), both = laneSum64(hy)
    for (; j < d; j++) {
      const p = <f64>load<f32>(a + word(j)), q = <f64>eScale * <f64>load<f32>(b + word(j)), h = p + q
      const at = columns + (<usize>j << 3)
      store<f64>(at, load<f64>(at) + p)
      store<f64>(at + second, load<f64>(at + second) + p * p)
      store<f64>(at + third, load<f64>(at + third) + q * q)
      y2 += p * p
      h2 += h * h
      both += h * p
    }
    all += h2
    product += both
    if (y2 > 0 && h2 > 0) cosine += both / sqrt<f64>(y2 * h2)
    if (y2 > 0) ratio += sqrt<f64>(h2 / y2)
  }
  store<f64>(totals, all)
  store<f64>(totals, product, 8)
  store<f64>(totals, cosine, 16)
  store<f64>(totals, ratio, 24)
}

/** norms[i] = Σ over segments (pairs of int32) of ‖w[i] on that span‖, float32. */
export function segmentNorms(w: usize, lo: i32, hi: i32, d: i32, segments: usize, count: i32, norms: usize): void {
  for (let i = lo; i < hi; i++) {
    const row = w + rowOf(i, d)
    let sum: f64 = 0
    for (let s = 0; s < count; s++) {
      const from = load<i32>(segments + word(2 * s)), to = load<i32>(segments + word(2 * s + 1))
      sum += sqrt<f64>(squares(row + word(from), to - from))
    }
    store<f32>(norms + word(i), <f32>sum)
  }
}

/** a = ca·a + cb·b over n float32: nested reconstructions' errors from the last level to the first. */
export function combineRange(a: usize, ca: f32, b: usize, cb: f32, n: i32): void {
  const p = f32x4.splat(ca), q = f32x4.splat(cb)
  let j = 0
  for (; j + 4 <= n; j += 4) {
    const o = word(j)
    v128.store(a + o, f32x4.add(f32x4.mul(p, v128.load(a + o)), f32x4.mul(q, v128.load(b + o))))
  }
  for (; j < n; j++) store<f32>(a + word(j), ca * load<f32>(a + word(j)) + cb * load<f32>(b + word(j)))
}

// The dense half of a step, while many latents fire: activations of a chunk of rows over a range of latents [rows, m], and
// from the dots D = ⟨e, d_i⟩ the gradients of the pre-activations. Sums over the chunk's rows go to one float32 per latent.
import { exp4, pow4, tanh4 } from './function'
import { madd, rowOf, word } from './vector'

// Four columns, or the single one at a row's end: `one` is a literal at every call.
@inline
function get(p: usize, one: bool): v128 {
  return one ? v128.load32_zero(p) : v128.load(p)
}

@inline
function put(p: usize, v: v128, one: bool): void {
  if (one) store<f32>(p, f32x4.extract_lane(v, 0))
  else v128.store(p, v)
}

@inline
function add(p: usize, v: v128, one: bool): void {
  put(p, f32x4.add(get(p, one), v), one)
}

const zero = f32x4.splat(0)

@inline
function popcount(mask: v128): i32 {
  return popcnt(i32x4.bitmask(mask))
}

@inline
function countFired(on: v128, fired: usize, one: bool): i32 {
  add(fired, v128.and(on, f32x4.splat(1)), one)
  return one ? i32x4.extract_lane(on, 0) & 1 : popcount(on)
}

@inline
function reluAt(p: usize, b: usize, fired: usize, sum: usize, one: bool): i32 {
  const v = f32x4.add(get(p, one), get(b, one))
  const on = f32x4.gt(v, zero)
  const f = v128.and(v, on)
  put(p, f, one)
  add(sum, f, one)
  return countFired(on, fired, one)
}

/** f = ReLU(pre + bias) in place; counts and Σ f by latent, count of firing latents added to each row's. */
export function reluRows(p: usize, rows: i32, m: i32, bias: usize, fired: usize, sum: usize, rowCount: usize): void {
  for (let r = 0; r < rows; r++) {
    const line = p + rowOf(r, m)
    let n = 0, j = 0
    for (; j + 4 <= m; j += 4) { const o = word(j); n += reluAt(line + o, bias + o, fired + o, sum + o, false) }
    for (; j < m; j++) { const o = word(j); n += reluAt(line + o, bias + o, fired + o, sum + o, true) }
    store<i32>(rowCount + word(r), load<i32>(rowCount + word(r)) + n)
  }
}

@inline
function jumpAt(p: usize, b: usize, t: usize, f: usize, fired: usize, sum: usize, one: bool): i32 {
  const v = f32x4.add(get(p, one), get(b, one))
  const on = f32x4.gt(v, get(t, one))
  const value = v128.and(v, on)
  put(p, v, one)
  put(f, value, one)
  add(sum, value, one)
  return countFired(on, fired, one)
}

/** π = pre + bias in place, f = π where π > θ, else 0. */
export function jumpreluRows(
  p: usize, rows: i32, m: i32, bias: usize, theta: usize, f: usize, fired: usize, sum: usize, rowCount: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let n = 0, j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j)
      n += jumpAt(p + at + o, bias + o, theta + o, f + at + o, fired + o, sum + o, false)
    }
    for (; j < m; j++) {
      const o = word(j)
      n += jumpAt(p + at + o, bias + o, theta + o, f + at + o, fired + o, sum + o, true)
    }
    store<i32>(rowCount + word(r), load<i32>(rowCount + word(r)) + n)
  }
}

@inline
function gateAt(p: usize, b: usize, er: usize, bm: usize, f: usize, fired: usize, sum: usize, one: bool): i32 {
  const z = get(p, one)
  const gate = f32x4.add(z, get(b, one))
  const open = f32x4.gt(gate, zero)
  const magnitude = madd(z, get(er, one), get(bm, one))
  const on = v128.and(open, f32x4.gt(magnitude, zero))
  const value = v128.and(magnitude, on)
  put(p, gate, one)
  put(f, value, one)
  add(sum, value, one)
  return countFired(on, fired, one)
}

/** π = z + b_gate in place, f = ReLU(z·exp(r_mag) + b_mag) where π > 0; `er` holds exp(r_mag). */
export function gatedRows(
  p: usize, rows: i32, m: i32, bias: usize, er: usize, bMag: usize, f: usize, fired: usize, sum: usize, rowCount: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let n = 0, j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j)
      n += gateAt(p + at + o, bias + o, er + o, bMag + o, f + at + o, fired + o, sum + o, false)
    }
    for (; j < m; j++) {
      const o = word(j)
      n += gateAt(p + at + o, bias + o, er + o, bMag + o, f + at + o, fired + o, sum + o, true)
    }
    store<i32>(rowCount + word(r), load<i32>(rowCount + word(r)) + n)
  }
}

/** out = ReLU(p), n elements. */
export function reluInto(p: usize, n: i32, out: usize): void {
  let j = 0
  for (; j + 4 <= n; j += 4) v128.store(out + word(j), f32x4.pmax(zero, v128.load(p + word(j))))
  for (; j < n; j++) store<f32>(out + word(j), max<f32>(0, load<f32>(p + word(j))))
}

@inline
function reluBackAt(d: usize, f: usize, pen: usize, g: usize, gSum: usize, s: v128, one: bool): void {
  const on = f32x4.gt(get(f, one), zero)
  const value = v128.and(madd(get(d, one), s, get(pen, one)), on)
  put(g, value, one)
  add(gSum, value, one)
}

/** g = scale·D + pen[i] where f > 0; g may be D. */
export function reluBack(d: usize, f: usize, rows: i32, m: i32, scale: f32, pen: usize, g: usize, gSum: usize): void {
  const s = f32x4.splat(scale)
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j), q = at + o
      reluBackAt(d + q, f + q, pen + o, g + q, gSum + o, s, false)
    }
    for (; j < m; j++) {
      const o = word(j), q = at + o
      reluBackAt(d + q, f + q, pen + o, g + q, gSum + o, s, true)
    }
  }
}

@inline
function powerBackAt(
  d: usize, f: usize, pen: usize, g: usize, gSum: usize, pSum: usize, s: v128, p: v128, one: bool,
): void {
  const x = get(f, one)
  const on = f32x4.gt(x, zero)
  const power = v128.and(pow4(f32x4.max(x, f32x4.splat(1.1754944e-38)), p), on)
  const push = f32x4.div(f32x4.mul(f32x4.mul(get(pen, one), p), power), f32x4.max(x, f32x4.splat(1.1754944e-38)))
  const value = v128.and(madd(get(d, one), s, push), on)
  put(g, value, one)
  add(gSum, value, one)
  add(pSum, power, one)
}

/** g = scale·D + pen[i]·p·f^(p−1) where f > 0; pSum: Σ f^p by latent. */
export function powerBack(
  d: usize, f: usize, rows: i32, m: i32, scale: f32, pen: usize, p: f32, g: usize, gSum: usize, pSum: usize,
): void {
  const s = f32x4.splat(scale), power = f32x4.splat(p)
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j), q = at + o
      powerBackAt(d + q, f + q, pen + o, g + q, gSum + o, pSum + o, s, power, false)
    }
    for (; j < m; j++) {
      const o = word(j), q = at + o
      powerBackAt(d + q, f + q, pen + o, g + q, gSum + o, pSum + o, s, power, true)
    }
  }
}

@inline
function jumpBackAt(
  d: usize, p: usize, theta: usize, pen: usize, norm: usize, pre: usize, g: usize, gSum: usize, tSum: usize,
  hSum: usize, nSum: usize, aSum: usize, s: v128, half: v128, inverse: v128, step: v128, stretch: v128, toInput: bool,
  one: bool,
): void {
  const pi = get(p, one), t = get(theta, one)
  const on = f32x4.gt(pi, t)
  const gap = f32x4.sub(pi, t)
  const window = v128.and(f32x4.lt(f32x4.abs(gap), half), inverse)
  let up = f32x4.mul(get(d, one), s)
  if (pen) {
    // tanh(stretch·f·n): where the latent is off, f is 0 and the slope maximal.
    const n = get(norm, one), f = v128.and(pi, on)
    const h = tanh4(f32x4.mul(f32x4.mul(stretch, f), n))
    const slope = f32x4.mul(f32x4.mul(get(pen, one), stretch), f32x4.sub(f32x4.splat(1), f32x4.mul(h, h)))
    up = madd(slope, n, up)
    add(hSum, v128.and(h, on), one)
    add(nSum, f32x4.mul(slope, f), one)
  }
  const kernel = f32x4.mul(window, madd(t, up, step))
  let value = v128.and(up, on)
  let threshold = f32x4.sub(zero, kernel)
  if (toInput) value = f32x4.add(value, kernel)
  if (pre) {
    const off = v128.and(get(pre, one), f32x4.lt(pi, t))
    value = f32x4.sub(value, off)
    threshold = f32x4.add(threshold, off)
    add(aSum, v128.and(f32x4.sub(t, pi), f32x4.gt(off, zero)), one)
  }
  put(g, value, one)
  add(gSum, value, one)
  add(tSum, threshold, one)
}

/**
 * JumpReLU: u = scale·D + the tanh penalty's slope; g = u where π > θ, and inside |π − θ| < ε/2 dL/dθ = −(θ·u + step)/ε,
 * which `toInput` also adds, negated, to g. `step`: the L0 term's coefficient per hit. `pen` (λ/B per latent, or 0) with
 * `norm` and `stretch`: tanh; `hSum` Σ tanh, `nSum` Σ dL/dn. `pre` (λ_P·n/B per latent, or 0): the pre-act loss; `aSum`
 * Σ ReLU(θ − π) if it is on. g may be D or π.
 */
export function jumpreluBack(
  d: usize, p: usize, rows: i32, m: i32, scale: f32, theta: usize, epsilon: f32, step: f32, pen: usize, norm: usize,
  stretch: f32, pre: usize, toInput: i32, g: usize, gSum: usize, tSum: usize, hSum: usize, nSum: usize, aSum: usize,
): void {
  const s = f32x4.splat(scale), half = f32x4.splat(epsilon / 2), inverse = f32x4.splat(1 / epsilon)
  const st = f32x4.splat(step), c = f32x4.splat(stretch)
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j), q = at + o
      jumpBackAt(
        d + q, p + q, theta + o, pen ? pen + o : 0, norm + o, pre ? pre + o : 0, g + q, gSum + o, tSum + o, hSum + o,
        nSum + o, aSum + o, s, half, inverse, st, c, toInput != 0, false,
      )
    }
    for (; j < m; j++) {
      const o = word(j), q = at + o
      jumpBackAt(
        d + q, p + q, theta + o, pen ? pen + o : 0, norm + o, pre ? pre + o : 0, g + q, gSum + o, tSum + o, hSum + o,
        nSum + o, aSum + o, s, half, inverse, st, c, toInput != 0, true,
      )
    }
  }
}

@inline
function gateBackAt(
  d: usize, d2: usize, p: usize, f: usize, b: usize, er: usize, pen: usize, g: usize, gSum: usize, gateSum: usize,
  magSum: usize, rSum: usize, piSum: usize, s: v128, one: bool,
): void {
  const pi = get(p, one)
  const open = f32x4.gt(pi, zero), on = f32x4.gt(get(f, one), zero)
  const scaled = get(er, one)
  const up = v128.and(f32x4.mul(get(d, one), s), on)
  const gate = v128.and(madd(get(d2, one), s, get(pen, one)), open)
  const value = madd(up, scaled, gate)
  put(g, value, one)
  add(gSum, value, one)
  add(gateSum, gate, one)
  add(magSum, up, one)
  add(rSum, f32x4.mul(f32x4.mul(up, scaled), f32x4.sub(pi, get(b, one))), one)
  add(piSum, v128.and(pi, open), one)
}

/**
 * Gated: through the magnitude where f > 0, dL/dz = scale·D·exp(r); through the gate where π > 0, scale·D2 + pen[i],
 * D2 from the auxiliary reconstruction. g (may be π) is their sum; sums by latent of g, the gate's part (b_gate), the
 * magnitude's (b_mag), r_mag's, and of ReLU(π).
 */
export function gatedBack(
  d: usize, d2: usize, p: usize, f: usize, rows: i32, m: i32, scale: f32, bias: usize, er: usize, pen: usize, g: usize,
  gSum: usize, gateSum: usize, magSum: usize, rSum: usize, piSum: usize,
): void {
  const s = f32x4.splat(scale)
  for (let r = 0; r < rows; r++) {
    const at = rowOf(r, m)
    let j = 0
    for (; j + 4 <= m; j += 4) {
      const o = word(j), q = at + o
      gateBackAt(
        d + q, d2 + q, p + q, f + q, bias + o, er + o, pen + o, g + q, gSum + o, gateSum + o, magSum + o, rSum + o,
        piSum + o, s, false,
      )
    }
    for (; j < m; j++) {
      const o = word(j), q = at + o
      gateBackAt(
        d + q, d2 + q, p + q, f + q, bias + o, er + o, pen + o, g + q, gSum + o, gateSum + o, magSum + o, rSum + o,
        piSum + o, s, true,
      )
    }
  }
}

/** exp of n float32. */
export function expRange(x: usize, n: i32, out: usize): void {
  let j = 0
  for (; j + 4 <= n; j += 4) v128.store(out + word(j), exp4(v128.load(x + word(j))))
  for (; j < n; j++) store<f32>(out + word(j), f32x4.extract_lane(exp4(v128.load32_zero(x + word(j))), 0))
}

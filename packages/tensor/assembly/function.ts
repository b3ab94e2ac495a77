// exp, log, tanh and powers of four float32 at once: range reduction and minimax polynomials (the coefficients of
// Moshier's Cephes library, expf and logf), relative error below 3e-7.
import { madd } from './vector'

/** e^x; 0 below −87, +∞ above 88.7. NaN stays. */
export function exp4(x: v128): v128 {
  const high = f32x4.splat(88.72283), low = f32x4.splat(-87.33654)
  const clamped = f32x4.min(f32x4.max(x, low), high)
  const n = f32x4.nearest(f32x4.mul(clamped, f32x4.splat(1.44269504)))
  let r = madd(n, f32x4.splat(-0.693359375), clamped)
  r = madd(n, f32x4.splat(2.12194440e-4), r)
  let y = f32x4.splat(1.9875691500e-4)
  y = madd(y, r, f32x4.splat(1.3981999507e-3))
  y = madd(y, r, f32x4.splat(8.3334519073e-3))
  y = madd(y, r, f32x4.splat(4.1665795894e-2))
  y = madd(y, r, f32x4.splat(1.6666665459e-1))
  y = madd(y, r, f32x4.splat(5.0000001201e-1))
  y = f32x4.add(madd(f32x4.mul(r, r), y, r), f32x4.splat(1))
  // 2^n in two steps, since 2^128 is not a float32.
  const k = i32x4.trunc_sat_f32x4_s(n)
  const half = i32x4.shr_s(k, 1)
  const a = i32x4.shl(i32x4.add(half, i32x4.splat(127)), 23)
  const b = i32x4.shl(i32x4.add(i32x4.sub(k, half), i32x4.splat(127)), 23)
  y = f32x4.mul(f32x4.mul(y, a), b)
  y = v128.bitselect(f32x4.splat(Infinity), y, f32x4.gt(x, high))
  return v128.bitselect(f32x4.splat(0), y, f32x4.lt(x, low))
}

/** ln x of positive, normal x. */
export function log4(x: v128): v128 {
  const bits = i32x4.sub(x, i32x4.splat(0x3f3504f3))
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23))
  const m = i32x4.add(v128.and(bits, i32x4.splat(0x007fffff)), i32x4.splat(0x3f3504f3))
  const f = f32x4.sub(m, f32x4.splat(1))
  const z = f32x4.mul(f, f)
  let y = f32x4.splat(7.0376836292e-2)
  y = madd(y, f, f32x4.splat(-1.1514610310e-1))
  y = madd(y, f, f32x4.splat(1.1676998740e-1))
  y = madd(y, f, f32x4.splat(-1.2420140846e-1))
  y = madd(y, f, f32x4.splat(1.4249322787e-1))
  y = madd(y, f, f32x4.splat(-1.6668057665e-1))
  y = madd(y, f, f32x4.splat(2.0000714765e-1))
  y = madd(y, f, f32x4.splat(-2.4999993993e-1))
  y = madd(y, f, f32x4.splat(3.3333331174e-1))
  y = f32x4.mul(f32x4.mul(y, f), z)
  y = madd(e, f32x4.splat(-2.12194440e-4), y)
  y = madd(z, f32x4.splat(-0.5), y)
  return madd(e, f32x4.splat(0.693359375), f32x4.add(f, y))
}

/** x^p of x > 0. */
@inline
export function pow4(x: v128, p: v128): v128 {
  return exp4(f32x4.mul(p, log4(x)))
}

/** tanh x of x ≥ 0. Below 0.1 by its series, where 1 − 2/(e^2x + 1) would cancel. */
export function tanh4(x: v128): v128 {
  const z = f32x4.mul(x, x)
  let small = f32x4.splat(-0.053968254)
  small = madd(small, z, f32x4.splat(0.13333334))
  small = madd(small, z, f32x4.splat(-0.33333334))
  small = madd(f32x4.mul(small, z), x, x)
  const e = exp4(f32x4.add(x, x))
  const large = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(e, f32x4.splat(1))))
  return v128.bitselect(small, large, f32x4.lt(x, f32x4.splat(0.1)))
}

// Row primitives shared by the kernels. Every sum runs in one fixed order that depends on d alone, so a result
// does not depend on which worker computes it or how rows are distributed.

/** Byte offset of element i of a float32 or int32 array. */
@inline
export function word(i: i32): usize {
  return <usize>i << 2
}

/** Byte offset of row i of a float32 matrix with d columns. */
@inline
export function rowOf(i: i32, d: i32): usize {
  return (<usize>i * <usize>d) << 2
}

@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c)
}

@inline
export function laneSum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
}

@inline
export function laneSum64(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1)
}

/** The two low and the two high float32 of a vector as float64. */
@inline
export function low64(v: v128): v128 {
  return f64x2.promote_low_f32x4(v)
}

@inline
export function high64(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3))
}

/**
 * Σ a·b over d float32: two partial sums of four lanes, joined as lanes (0+1)+(2+3), then the tail. The order is
 * dot4's, so that a product is the same whichever of the two computes it.
 */
export function dot(a: usize, b: usize, d: i32): f32 {
  let s = f32x4.splat(0), t = f32x4.splat(0)
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const p = a + word(j), q = b + word(j)
    s = madd(v128.load(p), v128.load(q), s)
    t = madd(v128.load(p, 16), v128.load(q, 16), t)
  }
  let sum = laneSum(f32x4.add(s, t))
  for (; j < d; j++) sum += load<f32>(a + word(j)) * load<f32>(b + word(j))
  return sum
}

/** Four dot products of one row with four others, which share the loads of `a`; writes four float32 at `out`. */
export function dot4(a: usize, w0: usize, w1: usize, w2: usize, w3: usize, d: i32, out: usize): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0)
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0)
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const o = word(j)
    const x = v128.load(a + o), y = v128.load(a + o, 16)
    s0 = madd(x, v128.load(w0 + o), s0); t0 = madd(y, v128.load(w0 + o, 16), t0)
    s1 = madd(x, v128.load(w1 + o), s1); t1 = madd(y, v128.load(w1 + o, 16), t1)
    s2 = madd(x, v128.load(w2 + o), s2); t2 = madd(y, v128.load(w2 + o, 16), t2)
    s3 = madd(x, v128.load(w3 + o), s3); t3 = madd(y, v128.load(w3 + o, 16), t3)
  }
  let r0 = laneSum(f32x4.add(s0, t0)), r1 = laneSum(f32x4.add(s1, t1))
  let r2 = laneSum(f32x4.add(s2, t2)), r3 = laneSum(f32x4.add(s3, t3))
  for (; j < d; j++) {
    const o = word(j)
    const x = load<f32>(a + o)
    r0 += x * load<f32>(w0 + o)
    r1 += x * load<f32>(w1 + o)
    r2 += x * load<f32>(w2 + o)
    r3 += x * load<f32>(w3 + o)
  }
  store<f32>(out, r0)
  store<f32>(out, r1, 4)
  store<f32>(out, r2, 8)
  store<f32>(out, r3, 12)
}

/** sum + v² in two float64 lanes. */
@inline
export function square(v: v128, sum: v128): v128 {
  return f64x2.relaxed_madd(v, v, sum)
}

/** Σ x² in float64, which neither overflows nor underflows for any float32. Four chains, to hide latency. */
export function squares(x: usize, d: i32): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0
  let j = 0
  for (; j + 8 <= d; j += 8) {
    const p = x + word(j)
    const u = v128.load(p), v = v128.load(p, 16)
    s0 = square(low64(u), s0)
    s1 = square(high64(u), s1)
    s2 = square(low64(v), s2)
    s3 = square(high64(v), s3)
  }
  let sum = laneSum64(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)))
  for (; j < d; j++) {
    const v = <f64>load<f32>(x + word(j))
    sum += v * v
  }
  return sum
}

/** out (float64) += c · x */
export function addScaled(x: usize, c: f64, d: i32, out: usize): void {
  const v = f64x2.splat(c)
  let j = 0
  for (; j + 4 <= d; j += 4) {
    const q = out + (<usize>j << 3)
    const wide = v128.load(x + word(j))
    v128.store(q, f64x2.relaxed_madd(v, low64(wide), v128.load(q)))
    v128.store(q, f64x2.relaxed_madd(v, high64(wide), v128.load(q, 16)), 16)
  }
  for (; j < d; j++) {
    const q = out + (<usize>j << 3)
    store<f64>(q, load<f64>(q) + c * <f64>load<f32>(x + word(j)))
  }
}

/** max |x| over d float32; NaN if any is NaN. */
export function maxAbs(x: usize, d: i32): f32 {
  let top = f32x4.splat(0)
  let j = 0
  for (; j + 4 <= d; j += 4) top = f32x4.max(top, f32x4.abs(v128.load(x + word(j))))
  let most = max<f32>(
    max<f32>(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1)),
    max<f32>(f32x4.extract_lane(top, 2), f32x4.extract_lane(top, 3)),
  )
  for (; j < d; j++) most = max<f32>(most, abs<f32>(load<f32>(x + word(j))))
  return most
}

// Sums over rows in float64: gradients of biases, running moments, the geometric median's step.
import { addScaled, laneSum64, low64, high64, rowOf, squares, word } from './vector'

export function columnSums(x: usize, rows: i32, d: i32, scale: f32, out: usize): void {
  memory.fill(out, 0, <usize>d << 3)
  for (let r = 0; r < rows; r++) addScaled(x + rowOf(r, d), 1, d, out)
  for (let j = 0; j < d; j++) {
    const q = out + (<usize>j << 3)
    store<f64>(q, load<f64>(q) * <f64>scale)
  }
}

export function weightedRowSum(w: usize, coef: usize, lo: i32, hi: i32, d: i32, out: usize): void {
  memory.fill(out, 0, <usize>d << 3)
  for (let i = lo; i < hi; i++) {
    const c = load<f32>(coef + word(i))
    if (c != 0) addScaled(w + rowOf(i, d), <f64>c, d, out)
  }
}

export function runningMoments(x: usize, mask: usize, rows: i32, d: i32, sum: usize, sumSq: usize, count: usize): void {
  let square: f64 = 0, n: f64 = 0
  for (let r = 0; r < rows; r++) {
    if (mask && !load<u8>(mask + <usize>r)) continue
    const row = x + rowOf(r, d)
    addScaled(row, 1, d, sum)
    square += squares(row, d)
    n += 1
  }
  store<f64>(sumSq, load<f64>(sumSq) + square)
  store<f64>(count, load<f64>(count) + n)
}

// ‖x − centre‖ in float64.
function distance(x: usize, centre: usize, d: i32): f64 {
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0)
  let j = 0
  for (; j + 4 <= d; j += 4) {
    const v = v128.load(x + word(j)), c = v128.load(centre + word(j))
    const a = f64x2.sub(low64(v), low64(c)), b = f64x2.sub(high64(v), high64(c))
    s0 = f64x2.relaxed_madd(a, a, s0)
    s1 = f64x2.relaxed_madd(b, b, s1)
  }
  let sum = laneSum64(f64x2.add(s0, s1))
  for (; j < d; j++) {
    const v = <f64>load<f32>(x + word(j)) - <f64>load<f32>(centre + word(j))
    sum += v * v
  }
  return sqrt<f64>(sum)
}

export function weiszfeldStep(x: usize, rows: i32, d: i32, centre: usize, num: usize, den: usize): void {
  memory.fill(num, 0, <usize>d << 3)
  let weights: f64 = 0
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d)
    const weight = 1 / max<f64>(distance(row, centre, d), 1e-10)
    addScaled(row, weight, d, num)
    weights += weight
  }
  store<f64>(den, weights)
}

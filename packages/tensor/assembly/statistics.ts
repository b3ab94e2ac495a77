// Sums over rows in float64: gradients of biases, running moments.
import { addScaled, rowOf, squares, word } from './vector'

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

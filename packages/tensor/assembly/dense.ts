// Dense row work on parameters and activations: Adam, norms, centring, ranges.
import { maxAbs, rowOf, squares, word } from './vector'

// Adam as PyTorch writes it (torch/optim/adam.py, _single_tensor_adam): p −= lr/bc1 · m / (√v/√bc2 + eps).
export function adamRows(
  param: usize, grad: usize, m: usize, v: usize, touched: usize, lo: i32, hi: i32, d: i32,
  lr: f64, beta1: f64, beta2: f64, eps: f64, bc1: f64, bc2: f64, clipScale: f64, unitNorm: i32,
): void {
  // Derived in float64: 1 − β2 of a β2 already rounded to float32 would be 1e-5 off.
  const b1 = <f32>beta1, b2 = <f32>beta2, rest1 = <f32>(1 - beta1), rest2 = <f32>(1 - beta2)
  const clip = <f32>clipScale, step = <f32>(lr / bc1), root = <f32>(1 / sqrt<f64>(bc2)), tiny = <f32>eps
  const B1 = f32x4.splat(b1), B2 = f32x4.splat(b2), R1 = f32x4.splat(rest1), R2 = f32x4.splat(rest2)
  const C = f32x4.splat(clip), S = f32x4.splat(step), Q = f32x4.splat(root), E = f32x4.splat(tiny)
  for (let i = lo; i < hi; i++) {
    const row = rowOf(i, d)
    const live = !touched || load<u8>(touched + <usize>i) != 0
    let j = 0
    for (; j + 4 <= d; j += 4) {
      const o = row + word(j)
      const g = live ? f32x4.mul(v128.load(grad + o), C) : f32x4.splat(0)
      const mean = f32x4.add(f32x4.mul(v128.load(m + o), B1), f32x4.mul(g, R1))
      const square = f32x4.add(f32x4.mul(v128.load(v + o), B2), f32x4.mul(f32x4.mul(g, g), R2))
      v128.store(m + o, mean)
      v128.store(v + o, square)
      const down = f32x4.add(f32x4.mul(f32x4.sqrt(square), Q), E)
      v128.store(param + o, f32x4.sub(v128.load(param + o), f32x4.div(f32x4.mul(mean, S), down)))
    }
    for (; j < d; j++) {
      const o = row + word(j)
      const g: f32 = live ? load<f32>(grad + o) * clip : 0
      const mean = load<f32>(m + o) * b1 + g * rest1
      const square = load<f32>(v + o) * b2 + g * g * rest2
      store<f32>(m + o, mean)
      store<f32>(v + o, square)
      store<f32>(param + o, load<f32>(param + o) - mean * step / (sqrt<f32>(square) * root + tiny))
    }
    if (unitNorm) normaliseRow(param + row, d)
  }
}

// A zero row, one too short for 1/‖w‖ in float32, or one with a NaN is unchanged.
function normaliseRow(w: usize, d: i32): void {
  const inverse = <f32>(1 / sqrt<f64>(squares(w, d)))
  if (!(inverse < Infinity)) return
  const v = f32x4.splat(inverse)
  let j = 0
  for (; j + 4 <= d; j += 4) v128.store(w + word(j), f32x4.mul(v128.load(w + word(j)), v))
  for (; j < d; j++) store<f32>(w + word(j), load<f32>(w + word(j)) * inverse)
}

export function normaliseRows(w: usize, lo: i32, hi: i32, d: i32): void {
  for (let i = lo; i < hi; i++) normaliseRow(w + rowOf(i, d), d)
}

export function centreRows(x: usize, b: usize, rows: i32, d: i32, out: usize): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d), to = out + rowOf(r, d)
    let j = 0
    for (; j + 4 <= d; j += 4) {
      const o = word(j)
      v128.store(to + o, f32x4.sub(v128.load(row + o), v128.load(b + o)))
    }
    for (; j < d; j++) store<f32>(to + word(j), load<f32>(row + word(j)) - load<f32>(b + word(j)))
  }
}

export function rowNorms(x: usize, rows: i32, d: i32, out: usize): void {
  for (let r = 0; r < rows; r++) store<f64>(out + (<usize>r << 3), sqrt<f64>(squares(x + rowOf(r, d), d)))
}

export function maxAbsRows(x: usize, rows: i32, d: i32, out: usize): void {
  for (let r = 0; r < rows; r++) store<f32>(out + word(r), maxAbs(x + rowOf(r, d), d))
}

export function scaleRange(x: usize, n: i32, s: f32): void {
  const v = f32x4.splat(s)
  let j = 0
  for (; j + 4 <= n; j += 4) v128.store(x + word(j), f32x4.mul(v128.load(x + word(j)), v))
  for (; j < n; j++) store<f32>(x + word(j), load<f32>(x + word(j)) * s)
}

export function addRange(a: usize, b: usize, n: i32): void {
  let j = 0
  for (; j + 4 <= n; j += 4) v128.store(a + word(j), f32x4.add(v128.load(a + word(j)), v128.load(b + word(j))))
  for (; j < n; j++) store<f32>(a + word(j), load<f32>(a + word(j)) + load<f32>(b + word(j)))
}

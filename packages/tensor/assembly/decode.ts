// The sparse forward half of a training step: reconstruction, residual, gradients of the kept values.
import { dot, dot4, laneSum, madd, rowOf, word } from './vector'

// out = bias + Σ val·wDec[idx], 32 columns at a time so that the sums stay in registers.
export function decodeRow(idx: usize, val: usize, k: i32, wDec: usize, d: i32, bias: usize, out: usize): void {
  let j = 0
  for (; j + 32 <= d; j += 32) {
    const o = word(j)
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0
    if (bias) {
      const b = bias + o
      s0 = v128.load(b); s1 = v128.load(b, 16); s2 = v128.load(b, 32); s3 = v128.load(b, 48)
      s4 = v128.load(b, 64); s5 = v128.load(b, 80); s6 = v128.load(b, 96); s7 = v128.load(b, 112)
    }
    for (let i = 0; i < k; i++) {
      const value = load<f32>(val + word(i))
      if (value == 0) continue
      const v = f32x4.splat(value)
      const w = wDec + rowOf(load<i32>(idx + word(i)), d) + o
      s0 = madd(v, v128.load(w), s0); s1 = madd(v, v128.load(w, 16), s1)
      s2 = madd(v, v128.load(w, 32), s2); s3 = madd(v, v128.load(w, 48), s3)
      s4 = madd(v, v128.load(w, 64), s4); s5 = madd(v, v128.load(w, 80), s5)
      s6 = madd(v, v128.load(w, 96), s6); s7 = madd(v, v128.load(w, 112), s7)
    }
    const q = out + o
    v128.store(q, s0); v128.store(q, s1, 16); v128.store(q, s2, 32); v128.store(q, s3, 48)
    v128.store(q, s4, 64); v128.store(q, s5, 80); v128.store(q, s6, 96); v128.store(q, s7, 112)
  }
  for (; j < d; j++) {
    const o = word(j)
    let sum: f32 = bias ? load<f32>(bias + o) : 0
    for (let i = 0; i < k; i++) {
      const value = load<f32>(val + word(i))
      if (value == 0) continue
      sum += value * load<f32>(wDec + rowOf(load<i32>(idx + word(i)), d) + o)
    }
    store<f32>(out + o, sum)
  }
}

export function decodeRows(idx: usize, val: usize, rows: i32, k: i32, wDec: usize, d: i32, bDec: usize, out: usize): void {
  for (let r = 0; r < rows; r++) {
    const hits = rowOf(r, k)
    decodeRow(idx + hits, val + hits, k, wDec, d, bDec, out + rowOf(r, d))
  }
}

// out += Σ val·wDec[idx]: goes on with a sum that latents of another memory began, as if all were one row of hits.
export function decodeOnto(idx: usize, val: usize, rows: i32, k: i32, wDec: usize, d: i32, out: usize): void {
  for (let r = 0; r < rows; r++) {
    const hits = rowOf(r, k), o = out + rowOf(r, d)
    decodeRow(idx + hits, val + hits, k, wDec, d, o, o)
  }
}

// e = a − x, returns Σ e².
export function residualRow(a: usize, x: usize, d: i32, e: usize): f64 {
  let s = f32x4.splat(0)
  let j = 0
  for (; j + 4 <= d; j += 4) {
    const o = word(j)
    const v = f32x4.sub(v128.load(a + o), v128.load(x + o))
    v128.store(e + o, v)
    s = madd(v, v, s)
  }
  let sum = <f64>laneSum(s)
  for (; j < d; j++) {
    const o = word(j)
    const v = load<f32>(a + o) - load<f32>(x + o)
    store<f32>(e + o, v)
    sum += <f64>v * <f64>v
  }
  return sum
}

export function residualRows(xhat: usize, x: usize, rows: i32, d: i32, e: usize, sq: usize): void {
  for (let r = 0; r < rows; r++) {
    const o = rowOf(r, d)
    store<f64>(sq + (<usize>r << 3), residualRow(xhat + o, x + o, d, e + o))
  }
}

// Where the ReLU is closed no gradient flows; a NaN value stays open so that its gradient shows it.
@inline
function closed(relu: i32, val: usize): bool {
  return relu != 0 && load<f32>(val) <= 0
}

function valueGradsRow(e: usize, idx: usize, val: usize, k: i32, wDec: usize, d: i32, scale: f32, relu: i32, g: usize): void {
  let i = 0
  for (; i + 4 <= k; i += 4) {
    const at = idx + word(i)
    dot4(
      e, wDec + rowOf(load<i32>(at), d), wDec + rowOf(load<i32>(at, 4), d), wDec + rowOf(load<i32>(at, 8), d),
      wDec + rowOf(load<i32>(at, 12), d), d, g + word(i),
    )
  }
  for (; i < k; i++) store<f32>(g + word(i), dot(e, wDec + rowOf(load<i32>(idx + word(i)), d), d))
  for (i = 0; i < k; i++) {
    const o = word(i)
    store<f32>(g + o, closed(relu, val + o) ? 0 : scale * load<f32>(g + o))
  }
}

export function valueGrads(
  e: usize, idx: usize, val: usize, rows: i32, k: i32, wDec: usize, d: i32, scale: f32, relu: i32, g: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const hits = rowOf(r, k)
    valueGradsRow(e + rowOf(r, d), idx + hits, val + hits, k, wDec, d, scale, relu, g + hits)
  }
}

// Hits of a row that are worked through before the next row gets its turn. A row of many ascending hits (AuxK)
// covers the dictionary densely, so the same positions of neighbouring rows meet the same decoder rows in cache.
const stretch: i32 = 32

// The three above row by row, while the decoder rows are in the cache; longer rows stretch by stretch. The order
// of every sum is that of the three.
export function decodeStep(
  idx: usize, val: usize, rows: i32, k: i32, wDec: usize, d: i32, bDec: usize, x: usize, scale: f32, relu: i32,
  e: usize, sq: usize, g: usize,
): void {
  if (k > stretch) {
    for (let i = 0; i < k; i += stretch) {
      const n = min(stretch, k - i)
      for (let r = 0; r < rows; r++) {
        const hits = rowOf(r, k) + word(i), out = e + rowOf(r, d)
        decodeRow(idx + hits, val + hits, n, wDec, d, i == 0 ? bDec : out, out)
      }
    }
    residualRows(e, x, rows, d, e, sq)
    for (let i = 0; i < k; i += stretch) {
      const n = min(stretch, k - i)
      for (let r = 0; r < rows; r++) {
        const hits = rowOf(r, k) + word(i)
        valueGradsRow(e + rowOf(r, d), idx + hits, val + hits, n, wDec, d, scale, relu, g + hits)
      }
    }
    return
  }
  for (let r = 0; r < rows; r++) {
    const hits = rowOf(r, k), o = rowOf(r, d)
    decodeRow(idx + hits, val + hits, k, wDec, d, bDec, e + o)
    store<f64>(sq + (<usize>r << 3), residualRow(e + o, x + o, d, e + o))
    valueGradsRow(e + o, idx + hits, val + hits, k, wDec, d, scale, relu, g + hits)
  }
}

/** Exact pre-activations of a screened encode's candidates. */
export function rescoreRows(
  x: usize, rows: i32, d: i32, w: usize, bias: usize, cand: usize, c: i32, out: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const row = x + rowOf(r, d), list = cand + rowOf(r, c), to = out + rowOf(r, c)
    let i = 0
    for (; i + 4 <= c; i += 4) {
      const at = list + word(i)
      dot4(
        row, w + rowOf(load<i32>(at), d), w + rowOf(load<i32>(at, 4), d), w + rowOf(load<i32>(at, 8), d),
        w + rowOf(load<i32>(at, 12), d), d, to + word(i),
      )
    }
    for (; i < c; i++) store<f32>(to + word(i), dot(row, w + rowOf(load<i32>(list + word(i)), d), d))
    if (!bias) continue
    for (i = 0; i < c; i++) {
      const o = to + word(i)
      store<f32>(o, load<f32>(o) + load<f32>(bias + word(load<i32>(list + word(i)))))
    }
  }
}

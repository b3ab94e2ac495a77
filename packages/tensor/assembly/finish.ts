// The last step of the gradients: what is added per latent after the sums over rows, for both paths.
import { alongRow, finishRow } from './gradients'
import { madd, rowOf, squares, word } from './vector'

// Finishes latents [lo, hi) after the sums over rows: `scale` times gDec (the dense path leaves
// dL/dx̂'s factor out); the gradient of decoder norms, coef[i]·d_i/‖d_i‖ on each of `segments` spans of columns (pairs
// of int32); `outer`[i]·`input` on gEnc and outer[i] on gBEnc (a gradient shared by all rows); removes the part along
// the decoder row if that keeps norm 1. Rows without hits start at 0. Squares of all as weightGrads.
export function finishGrads(
  lo: i32, hi: i32, scale: f32, coef: usize, segments: usize, count: i32, outer: usize, input: usize, unit: i32,
  wDec: usize, dDec: i32, dEnc: i32, gDec: usize, gEnc: usize, gBEnc: usize, touched: usize, sq: usize,
): void {
  for (let i = lo; i < hi; i++) {
    const dec = gDec + rowOf(i, dDec), enc = gEnc + rowOf(i, dEnc), row = wDec + rowOf(i, dDec)
    const push: f32 = outer ? load<f32>(outer + word(i)) : 0
    const live = load<u8>(touched + <usize>i) != 0
    if (!live) {
      if (push == 0) {
        store<f64>(sq + (<usize>i << 3), 0)
        continue
      }
      memory.fill(dec, 0, word(dDec))
      memory.fill(enc, 0, word(dEnc))
      store<u8>(touched + <usize>i, 1)
    } else if (scale != 1) scaleRow(dec, scale, dDec)
    if (push != 0) {
      addRow(enc, push, input, dEnc)
      store<f32>(gBEnc + word(i), load<f32>(gBEnc + word(i)) + push)
    }
    const c: f32 = coef ? load<f32>(coef + word(i)) : 0
    if (c != 0) {
      for (let s = 0; s < count; s++) {
        const from = load<i32>(segments + word(2 * s)), to = load<i32>(segments + word(2 * s + 1))
        const norm = sqrt<f64>(squares(row + word(from), to - from))
        if (norm > 0) addRow(dec + word(from), <f32>(<f64>c / norm), row + word(from), to - from)
      }
    }
    const along: f32 = unit ? alongRow(dec, row, dDec) : 0
    const bias = <f64>load<f32>(gBEnc + word(i))
    store<f64>(sq + (<usize>i << 3), finishRow(dec, along, row, dDec) + finishRow(enc, 0, enc, dEnc) + bias * bias)
  }
}

function scaleRow(a: usize, c: f32, d: i32): void {
  const v = f32x4.splat(c)
  let j = 0
  for (; j + 4 <= d; j += 4) v128.store(a + word(j), f32x4.mul(v, v128.load(a + word(j))))
  for (; j < d; j++) store<f32>(a + word(j), c * load<f32>(a + word(j)))
}

// a += c·b
function addRow(a: usize, c: f32, b: usize, d: i32): void {
  const v = f32x4.splat(c)
  let j = 0
  for (; j + 4 <= d; j += 4) v128.store(a + word(j), madd(v, v128.load(b + word(j)), v128.load(a + word(j))))
  for (; j < d; j++) store<f32>(a + word(j), load<f32>(a + word(j)) + c * load<f32>(b + word(j)))
}

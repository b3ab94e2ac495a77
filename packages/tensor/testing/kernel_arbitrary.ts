// Random shapes and values for the kernels' property tests.
import * as fc from 'fast-check'

/** Row widths around the kernels' strides of 4, 8, 16 and 32, the one-wide row included. */
export const width: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 36, 48, 63, 64, 65, 100),
  fc.integer({ min: 1, max: 140 }),
)

/** Row counts, none and one included. */
export const rowCount: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 1, 2),
  fc.integer({ min: 0, max: 9 }),
)

export const seed: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0x7fff_ffff })

/** A stream of uniform numbers in [0, 1) (mulberry32): large arrays shrink badly, so they come from a seed. */
export function uniform(from: number): () => number {
  let state = from >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** n float32 in (−1, 1). */
export function floats(n: number, random: () => number): Float32Array {
  return Float32Array.from({ length: n }, () => 2 * random() - 1)
}

/** n integers in [0, below). */
export function integers(n: number, below: number, random: () => number): Int32Array {
  return Int32Array.from({ length: n }, () => Math.floor(random() * below))
}

/** n kept values of a ReLU: a third of them 0. */
export function keptValues(n: number, random: () => number): Float32Array {
  return Float32Array.from({ length: n }, () => Math.max(0, 1.5 * random() - 0.5))
}

/** Rows [rows, k] of distinct ascending latents below m. */
export function selections(rows: number, k: number, m: number, random: () => number): Int32Array {
  const index = new Int32Array(rows * k)
  for (let r = 0; r < rows; r++) {
    const order = Array.from({ length: m }, (_, i) => ({ i, key: random() })).sort((a, b) => a.key - b.key)
    const kept = order.slice(0, k).map(({ i }) => i)
    index.set(
      kept.sort((a, b) => a - b),
      r * k,
    )
  }
  return index
}

// Test bench of the kernels: places arrays in one shared memory with guard bytes between them, so that a kernel
// that writes outside its ranges is caught, and compares results with the oracle.
import { instantiateKernels, type Kernels, loadKernels } from '../src/kernels.ts'

const guardByte = 0xa5
const guardBytes = 64
const pages = 64
const module = loadKernels()
const memory = new WebAssembly.Memory({ shared: true, initial: pages, maximum: 4_096 })
/** The kernels over the bench's own memory. */
export const kernels: Kernels = instantiateKernels(module, memory)

type Numeric = Float32Array | Float64Array | Int32Array | Uint8Array | Int8Array

export type Arena = {
  /** Copies an array into the memory. */
  put(data: Numeric): number
  /** Overwrites what lies at the pointer. */
  write(pointer: number, data: Numeric): void
  /** Reserves room for a result, filled with a pattern that is no sensible number. */
  room(bytes: number): number
  f32(pointer: number, length: number): Float32Array
  f64(pointer: number, length: number): Float64Array
  i32(pointer: number, length: number): Int32Array
  u8(pointer: number, length: number): Uint8Array
  i8(pointer: number, length: number): Int8Array
  /** Throws if a byte outside the reserved ranges was written. */
  check(): void
}

/** An empty arena; it reuses the memory of the one before. `skew` (multiple of 4 or 8) breaks the alignment. */
export function createArena({ skew = 0 }: { skew?: number } = {}): Arena {
  const bytes = () => new Uint8Array(memory.buffer)
  const gaps: [number, number][] = []
  let end = 65_536
  const reserve = (size: number) => {
    const pointer = Math.ceil((end + guardBytes) / 64) * 64 + skew
    const needed = pointer + size + 2 * guardBytes - memory.buffer.byteLength
    if (needed > 0) memory.grow(Math.ceil(needed / 65_536))
    bytes().fill(guardByte, end, pointer)
    gaps.push([end, pointer])
    end = pointer + size
    bytes().fill(guardByte, pointer, end + guardBytes)
    return pointer
  }
  const write = (pointer: number, data: Numeric) =>
    bytes().set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), pointer)
  return {
    put(data) {
      const pointer = reserve(data.byteLength)
      write(pointer, data)
      return pointer
    },
    write,
    room: reserve,
    f32: (pointer, length) => new Float32Array(memory.buffer, pointer, length).slice(),
    f64: (pointer, length) => new Float64Array(memory.buffer, pointer, length).slice(),
    i32: (pointer, length) => new Int32Array(memory.buffer, pointer, length).slice(),
    u8: (pointer, length) => new Uint8Array(memory.buffer, pointer, length).slice(),
    i8: (pointer, length) => new Int8Array(memory.buffer, pointer, length).slice(),
    check() {
      const all = bytes()
      for (const [from, to] of [...gaps, [end, end + guardBytes]]) {
        const at = all.subarray(from, to).findIndex(byte => byte !== guardByte)
        if (at >= 0) throw new Error(`the kernel wrote byte ${from + at}, outside its ranges`)
      }
    },
  }
}

/**
 * Throws unless |a − b| ≤ tolerance · (the largest |b|, or `scale` where cancellation makes terms larger than
 * their sum) everywhere; NaN and ∞ must agree exactly.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  options: { tolerance?: number; scale?: number } = {},
): void {
  const { tolerance = 1e-5, scale = 0 } = options
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, not ${expected.length}`)
  let largest = scale
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]))
  }
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue
    if (Math.abs(actual[i] - expected[i]) <= tolerance * largest) continue
    throw new Error(`value ${i} is ${actual[i]}, not ${expected[i]} (largest ${largest})`)
  }
}

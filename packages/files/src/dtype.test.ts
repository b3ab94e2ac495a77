import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  bf16OfBits,
  bf16ToF32,
  bytesPerElement,
  type DType,
  f16ToF32,
  f16ToNumber,
  type Tensor,
  toF32,
  viewBytes,
} from './dtype.ts'

// float32 bits by torch (oracle/tensor_goldens.py); it has a single NaN, so ours are made the same.
type Widening = { telling: [number, number][]; sha256: string }
const golden = JSON.parse(
  readFileSync(new URL('../fixtures/widening.json', import.meta.url), 'utf8'),
) as Record<'F16' | 'BF16', Widening>

const bitsOf = (wide: Float32Array): Uint32Array =>
  Uint32Array.from(new Uint32Array(wide.buffer), bits =>
    (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits,
  )

const every = Uint16Array.from({ length: 65_536 }, (_, i) => i)

test.each([
  ['F16', f16ToF32],
  ['BF16', bf16ToF32],
] as const)(
  '%s widens as torch widens it: zeros, subnormals, largest, infinities, NaN, and all 65,536',
  (dtype, widen) => {
    const { telling, sha256 } = golden[dtype]
    for (const [bits, wide] of telling)
      expect([bits, bitsOf(widen(Uint16Array.of(bits)))[0]]).toEqual([bits, wide])
    const digest = createHash('sha256')
      .update(new Uint8Array(bitsOf(widen(every)).buffer))
      .digest('hex')
    expect(digest).toBe(sha256)
    expect(toF32({ dtype, shape: [65_536], data: every })).toEqual(widen(every))
  },
)

test('f16ToNumber knows the ends of its range', () => {
  expect(f16ToNumber(0x0001)).toBe(2 ** -24)
  expect(f16ToNumber(0x7bff)).toBe(65_504)
  expect(f16ToNumber(0x8000)).toBe(-0)
  expect(f16ToNumber(0xfc00)).toBe(Number.NEGATIVE_INFINITY)
  expect(f16ToNumber(0x7e01)).toBeNaN()
})

test.each<[DType, Tensor['data'], number[]]>([
  ['F64', Float64Array.of(0.1, -1e300), [Math.fround(0.1), Number.NEGATIVE_INFINITY]],
  ['F32', Float32Array.of(1.5, -2), [1.5, -2]],
  ['I64', BigInt64Array.of(-(2n ** 40n), 3n), [-(2 ** 40), 3]],
  ['U64', BigUint64Array.of(2n ** 63n, 3n), [2 ** 63, 3]],
  ['I32', Int32Array.of(-5, 2 ** 24 + 1), [-5, 2 ** 24]],
  ['U32', Uint32Array.of(5, 2 ** 31), [5, 2 ** 31]],
  ['I16', Int16Array.of(-32_768, 7), [-32_768, 7]],
  ['U16', Uint16Array.of(65_535, 7), [65_535, 7]],
  ['I8', Int8Array.of(-128, 7), [-128, 7]],
  ['U8', Uint8Array.of(255, 7), [255, 7]],
  ['BOOL', Uint8Array.of(1, 0), [1, 0]],
])('%s becomes float32 by value', (dtype, data, expected) => {
  expect([...toF32({ dtype, shape: [2], data })]).toEqual(expected)
})

test('bytes are viewed in place, with the element size of the type', () => {
  const bytes = new Uint8Array(64).map((_, i) => i)
  for (const dtype of Object.keys(bytesPerElement) as DType[]) {
    const view = viewBytes(dtype, bytes.subarray(8, 40))
    expect([view.buffer, view.byteOffset, view.length]).toEqual([
      bytes.buffer,
      8,
      32 / bytesPerElement[dtype],
    ])
    expect(view.BYTES_PER_ELEMENT).toBe(bytesPerElement[dtype])
  }
})

test('a float32 becomes the nearest bfloat16, of two as near the even one; NaN stays NaN', () => {
  // The upper half is kept, plus one where the lower half is more than a half, or just that and the upper half is odd.
  for (const [bits, expected] of [
    [0x3f80_0000, 0x3f80],
    [0x3f80_7fff, 0x3f80],
    [0x3f80_8000, 0x3f80],
    [0x3f80_8001, 0x3f81],
    [0x3f81_7fff, 0x3f81],
    [0x3f81_8000, 0x3f82],
    [0x3f82_8000, 0x3f82],
    [0x3f83_8000, 0x3f84],
    [0xbf81_8000, 0xbf82],
    // The largest float32 is nearer to infinity.
    [0x7f7f_ffff, 0x7f80],
    [0x7f80_0000, 0x7f80],
    [0xff80_0000, 0xff80],
    [0x0000_8000, 0x0000],
    [0x0001_8000, 0x0002],
  ]) {
    expect(bf16OfBits(bits).toString(16), bits.toString(16)).toBe(expected.toString(16))
    // As a signed number too.
    expect(bf16OfBits(bits | 0)).toBe(expected)
  }
  for (const nan of [0x7f80_0001, 0x7fc0_0000, 0xff80_0001, 0x7fff_ffff]) {
    expect(bf16ToF32(Uint16Array.of(bf16OfBits(nan)))[0]).toBeNaN()
  }
})

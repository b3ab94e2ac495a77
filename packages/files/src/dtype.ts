// Number types under their safetensors names, tensors as plain objects, and exact widening to float32.

export type DType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL'

export const bytesPerElement: Record<DType, number> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
}

/** F16 and BF16 are kept as their bits in a Uint16Array, BOOL as bytes. */
export type TypedArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | BigUint64Array
  | Uint32Array
  | Uint16Array
  | Uint8Array

/** A dense row-major tensor. */
export type Tensor = { dtype: DType; shape: number[]; data: TypedArray }

/** Reads little-endian bytes as `dtype` without a copy; the bytes must be aligned to the element. */
export function viewBytes(dtype: DType, bytes: Uint8Array): TypedArray {
  const { buffer, byteOffset } = bytes
  const length = bytes.byteLength / bytesPerElement[dtype]
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer, byteOffset, length)
    case 'F32':
      return new Float32Array(buffer, byteOffset, length)
    case 'I64':
      return new BigInt64Array(buffer, byteOffset, length)
    case 'U64':
      return new BigUint64Array(buffer, byteOffset, length)
    case 'I32':
      return new Int32Array(buffer, byteOffset, length)
    case 'U32':
      return new Uint32Array(buffer, byteOffset, length)
    case 'I16':
      return new Int16Array(buffer, byteOffset, length)
    case 'F16':
    case 'BF16':
    case 'U16':
      return new Uint16Array(buffer, byteOffset, length)
    case 'I8':
      return new Int8Array(buffer, byteOffset, length)
    case 'U8':
    case 'BOOL':
      return new Uint8Array(buffer, byteOffset, length)
  }
}

/** Any dtype as float32: exact for F16, BF16 and small integers, rounded for F64 and wide integers. */
export function toF32({ dtype, data }: Tensor): Float32Array {
  switch (dtype) {
    case 'F32':
      return data as Float32Array
    case 'BF16':
      return bf16ToF32(data as Uint16Array)
    case 'F16':
      return f16ToF32(data as Uint16Array)
    case 'I64':
    case 'U64':
      return Float32Array.from(data as BigInt64Array, Number)
    default:
      return Float32Array.from(data as Float64Array)
  }
}

/** bfloat16 is the upper half of a float32. */
export function bf16ToF32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16
  return new Float32Array(wide.buffer)
}

/** A float32's bits rounded to bfloat16's: to nearest, ties to even; NaN stays NaN. */
export function bf16OfBits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

let f16Values: Float32Array | undefined

/** Uses a table of all 65,536 values, built on first use. */
export function f16ToF32(bits: Uint16Array): Float32Array {
  f16Values ??= Float32Array.from({ length: 65_536 }, (_, i) => f16ToNumber(i))
  const wide = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) wide[i] = f16Values[bits[i]]
  return wide
}

/** IEEE 754 half precision: 1 sign, 5 exponent, 10 fraction bits. */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

// float16 and bfloat16 weights as a float32 safetensors file, written once. A Cast in the graph would cost a copy
// of the weights in every session. Tensors pass through a small buffer, so memory does not grow with the model.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { bytesPerElement, InputError, replaceFile, toF32, viewBytes } from '@mistudio/files'
import type { Found } from './weights.ts'

const elementsAtOnce = 1 << 20
/** The data begins at a multiple of the cache line, and so does every mapped matrix. */
const alignment = 64

/**
 * Writes the tensors of `found` to `path` as float32, names as stored, through a temporary file.
 * @throws InputError if a source file ends early or the destination cannot be written
 */
export function writeWidened(options: { path: string; found: Iterable<Found> }): void {
  const tensors = [...options.found]
  const header: Record<string, { dtype: 'F32'; shape: number[]; data_offsets: [number, number] }> = {}
  let end = 0
  for (const { storedName, shape, dtype, byteLength } of tensors) {
    const bytes = (byteLength / bytesPerElement[dtype]) * 4
    header[storedName] = { dtype: 'F32', shape, data_offsets: [end, end + bytes] }
    end += bytes
  }
  const json = JSON.stringify(header)
  const jsonBytes = Buffer.byteLength(json)
  const padding = (alignment - ((8 + jsonBytes) % alignment)) % alignment
  const head = Buffer.from(json + ' '.repeat(padding))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(head.length))
  replaceFile({
    path: options.path,
    write(temporary) {
      const out = openSync(temporary, 'w')
      try {
        writeAll(out, prefix)
        writeAll(out, head)
        for (const tensor of tensors) copyWidened(tensor, out)
      } finally {
        closeSync(out)
      }
    },
  })
}

function copyWidened({ file, dtype, byteOffset, byteLength, storedName }: Found, out: number): void {
  const source = openSync(file.path, 'r')
  try {
    const buffer = new Uint8Array(elementsAtOnce * bytesPerElement[dtype])
    for (let done = 0; done < byteLength; ) {
      const part = buffer.subarray(0, Math.min(buffer.length, byteLength - done))
      if (!readFully(source, part, byteOffset + done)) {
        throw new InputError({ message: 'the file ended early', file: file.path, field: storedName })
      }
      const data = viewBytes(dtype, part)
      const wide = toF32({ dtype, shape: [data.length], data })
      writeAll(out, new Uint8Array(wide.buffer, wide.byteOffset, wide.byteLength))
      done += part.length
    }
  } finally {
    closeSync(source)
  }
}

function readFully(file: number, bytes: Uint8Array, position: number): boolean {
  for (let done = 0; done < bytes.length; ) {
    const n = readSync(file, bytes, done, bytes.length - done, position + done)
    if (n === 0) return false
    done += n
  }
  return true
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}

// safetensors: an 8-byte little-endian header length, a JSON header, then the tensors' bytes
// (github.com/huggingface/safetensors, format section). Files are untrusted until checked: every length and
// offset is bounded by the file before anything is allocated. Reads are positional and cover only what is requested.
import { closeSync, fstatSync, openSync } from 'node:fs'
import { replaceFile } from './atomic.ts'
import { bytesPerElement, type DType, type Tensor, toF32, viewBytes } from './dtype.ts'
import { InputError } from './errors.ts'
import { isObject } from './plain_object.ts'
import { openRegularFile, readExactly, writeAll } from './positional.ts'

/** The reference implementation rejects longer headers too. */
export const headerLimitBytes = 100_000_000

export type TensorInfo = { dtype: DType; shape: number[]; byteOffset: number; byteLength: number }

export type SafetensorsFile = {
  path: string
  metadata: Record<string, string>
  /** In data order; `byteOffset` is from the start of the file. */
  tensors: Map<string, TensorInfo>
  read(name: string): Tensor
  /** Any float dtype widened to float32. */
  readF32(name: string): Float32Array
  /** Fills `bytes` (of any memory) with the tensor's bytes from byte `from` on. @throws RangeError beyond its end */
  readBytes(options: { name: string; from: number; bytes: Uint8Array }): void
  close(): void
}

/**
 * Opens and checks a file.
 * @throws InputError naming the tensor and what is wrong with it.
 * @example
 * const file = openSafetensors('assets/demo/model/model.safetensors')
 * const embedding = file.readF32('model.embed_tokens.weight') // [vocab, width]
 * file.close()
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openRegularFile(path)
  try {
    const { metadata, tensors } = readHeader(file, path)
    const infoOf = (name: string) => {
      const info = tensors.get(name)
      if (info !== undefined) return info
      const some = [...tensors.keys()].slice(0, 8).join(', ')
      throw new InputError({
        message: 'no such tensor',
        file: path,
        field: name,
        expected: `one of ${some} …`,
      })
    }
    const read = (name: string): Tensor => {
      const { dtype, shape, byteOffset, byteLength } = infoOf(name)
      const bytes = new Uint8Array(byteLength)
      readExactly({ file, path, bytes, position: byteOffset })
      return { dtype, shape: [...shape], data: viewBytes(dtype, bytes) }
    }
    const readBytes: SafetensorsFile['readBytes'] = ({ name, from, bytes }) => {
      const { byteOffset, byteLength } = infoOf(name)
      if (!(from >= 0 && from + bytes.byteLength <= byteLength)) {
        throw new RangeError(
          `bytes ${from} to ${from + bytes.byteLength} of ${name}, which has ${byteLength}`,
        )
      }
      readExactly({ file, path, bytes, position: byteOffset + from })
    }
    const readF32 = (name: string) => toF32(read(name))
    return { path, metadata, tensors, read, readF32, readBytes, close: () => closeSync(file) }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function readHeader(file: number, path: string): Pick<SafetensorsFile, 'metadata' | 'tensors'> {
  const fail = (message: string, rest: { field?: string; found?: string; expected?: string } = {}): never => {
    throw new InputError({ message, file: path, ...rest })
  }
  const fileBytes = fstatSync(file).size
  if (fileBytes < 8)
    fail('too short for safetensors', { found: `${fileBytes} bytes`, expected: 'at least 8' })
  const prefix = new Uint8Array(8)
  readExactly({ file, path, bytes: prefix, position: 0 })
  const length = new DataView(prefix.buffer).getBigUint64(0, true)
  const most = Math.min(headerLimitBytes, fileBytes - 8)
  if (length > BigInt(most))
    fail('the header is longer than the file', {
      field: 'header length',
      found: `${length}`,
      expected: `at most ${most}`,
    })
  const headerBytes = new Uint8Array(Number(length))
  readExactly({ file, path, bytes: headerBytes, position: 8 })
  let text = ''
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(headerBytes)
  } catch {
    fail('the header is not UTF-8')
  }
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch (error) {
    fail('the header is not JSON', { found: String(error) })
  }
  if (!isObject(header)) return fail('the header is not an object')
  const duplicate = duplicateKey(text)
  if (duplicate !== undefined) fail('a name appears twice in the header', { field: duplicate })
  const start = 8 + Number(length)
  const metadata: Record<string, string> = {}
  const tensors = new Map<string, TensorInfo>()
  for (const [name, entry] of Object.entries(header)) {
    if (!isObject(entry)) fail('a header entry is not an object', { field: name })
    else if (name === '__metadata__') {
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== 'string') fail('metadata must be strings', { field: key, found: typeof value })
        else
          Object.defineProperty(metadata, key, {
            value,
            enumerable: true,
            configurable: true,
            writable: true,
          })
      }
    } else tensors.set(name, checkEntry(name, entry, start, fileBytes, fail))
  }
  // JavaScript puts keys that look like numbers first, whatever the file's order.
  const ordered = [...tensors].sort(([, a], [, b]) => a.byteOffset - b.byteOffset)
  checkOverlap(ordered, fail)
  return { metadata, tensors: new Map(ordered) }
}

type Fail = (message: string, rest?: { field?: string; found?: string; expected?: string }) => never

function checkEntry(
  name: string,
  entry: Record<string, unknown>,
  start: number,
  fileBytes: number,
  fail: Fail,
): TensorInfo {
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesPerElement, dtype)) {
    return fail('unknown dtype', {
      field: name,
      found: JSON.stringify(dtype),
      expected: Object.keys(bytesPerElement).join(', '),
    })
  }
  if (!isCounts(shape) || shape.length > 16) {
    return fail('the shape is not a list of sizes', { field: name, found: JSON.stringify(shape) })
  }
  if (!isCounts(offsets) || offsets.length !== 2) {
    return fail('data_offsets are not two byte positions', { field: name, found: JSON.stringify(offsets) })
  }
  const [begin, end] = offsets
  if (begin > end || end > fileBytes - start) {
    return fail('data_offsets are out of range', {
      field: name,
      found: `[${begin}, ${end}]`,
      expected: `within ${fileBytes - start} bytes`,
    })
  }
  const type = dtype as DType
  // Products past 2^53 lose digits but stay huge, so they cannot equal a length inside the file.
  const bytes = shape.reduce((product, n) => product * n, bytesPerElement[type])
  if (bytes !== end - begin) {
    return fail('shape and data_offsets disagree', {
      field: name,
      found: `${end - begin} bytes`,
      expected: `${bytes} for ${dtype} [${shape}]`,
    })
  }
  return { dtype: type, shape, byteOffset: start + begin, byteLength: end - begin }
}

function checkOverlap(ordered: [string, TensorInfo][], fail: Fail): void {
  const filled = ordered.filter(([, info]) => info.byteLength > 0)
  for (let i = 1; i < filled.length; i++) {
    const [before, a] = filled[i - 1]
    const [name, b] = filled[i]
    if (b.byteOffset < a.byteOffset + a.byteLength)
      fail('two tensors overlap', { field: name, found: `overlaps ${before}` })
  }
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(n => Number.isSafeInteger(n) && n >= 0)

/**
 * JSON.parse keeps the last of two equal keys; a second reader may keep the first. The text is valid JSON here. Scanned
 * by hand: a regular expression overflows its stack on a string of megabytes.
 */
function duplicateKey(text: string): string | undefined {
  // The keys of the open objects; undefined is an open list.
  const scopes: (Set<string> | undefined)[] = []
  let isKey = false
  for (let at = 0; at < text.length; at++) {
    const found = text[at]
    if (found === '"') {
      const begin = at
      while (text[++at] !== '"') if (text[at] === '\\') at++
      if (!isKey) continue
      const key = JSON.parse(text.slice(begin, at + 1)) as string
      const scope = scopes.at(-1)
      if (scope?.has(key)) return key
      scope?.add(key)
    } else if (found === '{' || found === '[') {
      scopes.push(found === '{' ? new Set() : undefined)
      isKey = found === '{'
    } else if (found === '}' || found === ']') {
      scopes.pop()
      isKey = false
    } else if (found === ',') isKey = scopes.at(-1) !== undefined
    else if (found === ':') isKey = false
  }
  return undefined
}

export type TensorSource = { name: string; dtype: DType; shape: number[]; data: ArrayBufferView }

/**
 * Writes tensors one after another through a temporary file, flushed and renamed.
 * @throws InputError when a tensor's bytes disagree with its shape, before anything is written.
 * @example
 * const rows = { name: 'activations', dtype: 'F32' as const, shape: [4, 256], data: new Float32Array(4 * 256) }
 * await writeSafetensors({ path: 'x.safetensors', tensors: [rows] })
 */
export async function writeSafetensors(options: {
  path: string
  tensors: Iterable<TensorSource>
  metadata?: Record<string, string>
}): Promise<void> {
  const { path, metadata } = options
  const tensors = [...options.tensors]
  const header = encodeHeader({ path, tensors, metadata })
  replaceFile({
    path,
    write: temporary => {
      const file = openSync(temporary, 'w')
      try {
        writeAll(file, header)
        for (const { data } of tensors)
          writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      } finally {
        closeSync(file)
      }
    },
  })
}

/**
 * The bytes before the tensors' data.
 * @throws InputError if a name appears twice or the bytes of `data`, if given, disagree with the shape
 */
export function encodeHeader(options: {
  path: string
  tensors: readonly (Omit<TensorSource, 'data'> & { data?: ArrayBufferView })[]
  metadata?: Record<string, string> | undefined
}): Uint8Array {
  const { path, tensors, metadata } = options
  // Without a prototype, a tensor may be called '__proto__'.
  const header: Record<string, unknown> = Object.create(null)
  if (metadata !== undefined) header.__metadata__ = metadata
  let offset = 0
  for (const { name, dtype, shape, data } of tensors) {
    const bytes = shape.reduce((product, n) => product * n, bytesPerElement[dtype])
    const given = data?.byteLength ?? bytes
    if (bytes !== given || Object.hasOwn(header, name) || name === '__metadata__') {
      throw new InputError({
        message: 'a tensor cannot be written',
        file: path,
        field: name,
        found: `${given} bytes`,
        expected: `${bytes} for ${dtype} [${shape}], a free name`,
      })
    }
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  // Padded with spaces so that the data begins at a multiple of 8, as the reference writer does.
  const json = JSON.stringify(header)
  const text = json.padEnd(json.length + ((8 - (Buffer.byteLength(json) % 8)) % 8))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(Buffer.byteLength(text)))
  return Buffer.concat([prefix, Buffer.from(text)])
}

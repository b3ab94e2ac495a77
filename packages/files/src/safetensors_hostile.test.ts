// Files that our writers never produce: refused as bad input, with nothing allocated from an unchecked length.
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inputError, largestAllocation, useFolder } from '../testing/file_support.ts'
import { bytesPerElement, type DType, type Tensor } from './dtype.ts'
import { InputError } from './errors.ts'
import { openSafetensors, writeSafetensors } from './safetensors.ts'

const path = useFolder()

/** A file with any header, well formed or not. */
function fileOf(header: string | Uint8Array, data = new Uint8Array(0), headerLength?: bigint): Buffer {
  const bytes = Buffer.from(header as string)
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(headerLength ?? BigInt(bytes.length))
  return Buffer.concat([prefix, bytes, data])
}

function open(bytes: Uint8Array) {
  writeFileSync(path('a.safetensors'), bytes)
  return openSafetensors(path('a.safetensors'))
}

const one = (entry: object, name = 'a') => JSON.stringify({ [name]: entry })
const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] }
const eight = new Uint8Array(8)

test.each<[string, Buffer, string]>([
  ['an empty file', Buffer.alloc(0), 'too short'],
  ['seven bytes', Buffer.alloc(7), 'too short'],
  ['a header longer than the file', fileOf(one(good), eight, 1000n), 'longer than the file'],
  ['a header of 2^64 − 1 bytes', fileOf(one(good), eight, 2n ** 64n - 1n), 'longer than the file'],
  ['a header past the reference’s limit', fileOf('{}', eight, 100_000_001n), 'longer than the file'],
  ['a header that is not UTF-8', fileOf(Buffer.from('{"\xe9": 1}', 'latin1')), 'not UTF-8'],
  ['a header that is not JSON', fileOf('{"a": '), 'not JSON'],
  ['a header nested beyond the stack', fileOf('['.repeat(500_000)), 'not JSON'],
  ['a list for a header', fileOf('[]'), 'not an object'],
  ['null for a tensor', fileOf('{"a": null}'), 'not an object'],
  ['a number in the metadata', fileOf('{"__metadata__": {"a": 1}}'), 'must be strings'],
  ['an unknown dtype', fileOf(one({ ...good, dtype: 'F12' }), eight), 'unknown dtype'],
  ['an inherited name as dtype', fileOf(one({ ...good, dtype: 'toString' }), eight), 'unknown dtype'],
  ['no dtype', fileOf(one({ shape: [2], data_offsets: [0, 8] }), eight), 'unknown dtype'],
  ['a negative size', fileOf(one({ ...good, shape: [-2] }), eight), 'not a list of sizes'],
  ['a fractional size', fileOf(one({ ...good, shape: [2.5] }), eight), 'not a list of sizes'],
  ['a shape of text', fileOf(one({ ...good, shape: '2' }), eight), 'not a list of sizes'],
  ['one offset', fileOf(one({ ...good, data_offsets: [0] }), eight), 'two byte positions'],
  ['a negative offset', fileOf(one({ ...good, data_offsets: [-8, 0] }), eight), 'two byte positions'],
  ['offsets past the file', fileOf(one({ ...good, data_offsets: [8, 16] }), eight), 'out of range'],
  ['offsets the wrong way round', fileOf(one({ ...good, data_offsets: [8, 0] }), eight), 'out of range'],
  ['a shape that disagrees', fileOf(one({ ...good, shape: [3] }), eight), 'disagree'],
  ['a product past 2^53', fileOf(one({ ...good, shape: [2 ** 40, 2 ** 40] }), eight), 'disagree'],
  [
    'sizes whose product is no number',
    fileOf(
      one({
        ...good,
        shape: Array(16)
          .fill(2 ** 52)
          .concat(0),
      }),
      eight,
    ),
    'sizes',
  ],
  [
    'overlapping tensors',
    fileOf(JSON.stringify({ a: good, b: { ...good, data_offsets: [4, 12] } }), new Uint8Array(12)),
    'overlap',
  ],
  [
    'a tensor inside another',
    fileOf(
      JSON.stringify({
        a: { ...good, shape: [4], data_offsets: [0, 16] },
        b: { ...good, data_offsets: [4, 12] },
      }),
      new Uint8Array(16),
    ),
    'overlap',
  ],
  ['a name twice', fileOf(`{"a": ${JSON.stringify(good)}, "a": ${JSON.stringify(good)}}`, eight), 'twice'],
  [
    'a name twice, once escaped',
    fileOf(`{"a": ${JSON.stringify(good)}, "\\u0061": ${JSON.stringify(good)}}`, eight),
    'twice',
  ],
  ['a metadata key twice', fileOf('{"__metadata__": {"x": "1", "x": "2"}}'), 'twice'],
  [
    'a dtype twice',
    fileOf('{"a": {"dtype": "F32", "dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}'),
    'twice',
  ],
])('%s is refused', async (_, bytes, message) => {
  let error: InputError | undefined
  const largest = largestAllocation(() => {
    try {
      open(bytes)
    } catch (thrown) {
      if (thrown instanceof InputError) error = thrown
      else throw thrown
    }
  })
  expect(error?.message).toContain(message)
  expect(error?.details.file).toBe(path('a.safetensors'))
  expect(error!.message.length).toBeLessThan(3000)
  expect(largest).toBeLessThanOrEqual(Math.max(8, bytes.length))
})

test('a name of megabytes is read, and not put whole into a message', async () => {
  const name = '\\"'.repeat(4_000_000)
  const file = open(fileOf(one(good, name), eight))
  expect(file.tensors.get(name)?.shape).toEqual([2])
  file.close()
  const error = await inputError(() => open(fileOf(one({ ...good, dtype: name }, name), eight)))
  expect(error.message.length).toBeLessThan(3000)
})

test('quotes, brackets and colons inside names are no structure', () => {
  const name = 'a"},{"b":[\\'
  const header = JSON.stringify({ [name]: good, b: { ...good, shape: [0], data_offsets: [8, 8] } })
  expect([...open(fileOf(header, eight)).tensors.keys()]).toEqual([name, 'b'])
})

test('random damage to header and bytes: refused as bad input, or opened with figures that hold', async () => {
  const tensors = [
    {
      name: 'weight',
      dtype: 'F32' as const,
      shape: [3, 4],
      data: Float32Array.from({ length: 12 }, (_, i) => i),
    },
    { name: 'bias', dtype: 'BF16' as const, shape: [5], data: new Uint16Array(5) },
    { name: 'ids', dtype: 'I64' as const, shape: [2], data: new BigInt64Array(2) },
  ]
  await writeSafetensors({ path: path('whole.safetensors'), tensors, metadata: { format: 'pt' } })
  const whole = readFileSync(path('whole.safetensors'))
  const telling = Buffer.from('0123456789-.eE[]{},:"\\ FUBI\x00\xff', 'latin1')
  const change = fc.record({
    // Mostly the header: the data bytes may hold anything.
    at: fc.oneof(
      { arbitrary: fc.integer({ min: 0, max: whole.length - 1 }), weight: 3 },
      { arbitrary: fc.integer({ min: 8, max: whole.length - 80 }), weight: 3 },
      { arbitrary: fc.integer({ min: 0, max: 15 }), weight: 1 },
    ),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 3 }),
      fc.constantFrom(...telling).map(byte => Uint8Array.of(byte)),
    ),
    kind: fc.constantFrom('replace', 'insert', 'remove', 'cut'),
  })
  let opened = 0
  let refused = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
      let bytes = whole
      for (const { at, bytes: some, kind } of changes) {
        const place = Math.min(at, bytes.length)
        const rest = kind === 'replace' ? place + some.length : kind === 'remove' ? place + 1 : place
        const after = kind === 'cut' ? Buffer.alloc(0) : bytes.subarray(rest)
        bytes = Buffer.concat([
          bytes.subarray(0, place),
          kind === 'remove' || kind === 'cut' ? Buffer.alloc(0) : some,
          after,
        ])
        // A length that fits lets the damage through to the later checks.
        if (kind === 'insert' || kind === 'remove') {
          const length = Number(whole.readBigUInt64LE()) + bytes.length - whole.length
          if (place >= 8 && length >= 0) bytes.writeBigUInt64LE(BigInt(length))
        }
      }
      const largest = largestAllocation(() => {
        try {
          const file = open(bytes)
          checkFigures(file.tensors, bytes.length)
          for (const name of file.tensors.keys()) checkTensor(file.read(name))
          file.close()
          opened++
        } catch (error) {
          if (!(error instanceof InputError)) throw error
          refused++
        }
      })
      expect(largest).toBeLessThanOrEqual(Math.max(8, bytes.length))
    }),
    { numRuns: 1500 },
  )
  // Both outcomes must occur, or the damage tests nothing.
  expect(opened).toBeGreaterThan(20)
  expect(refused).toBeGreaterThan(100)
})

function checkTensor({ dtype, shape, data }: Tensor): void {
  expect(data.length).toBe(shape.reduce((product, n) => product * n, 1))
  expect(data.BYTES_PER_ELEMENT).toBe(bytesPerElement[dtype])
}

type Infos = Map<string, { dtype: DType; shape: number[]; byteOffset: number; byteLength: number }>

function checkFigures(tensors: Infos, fileBytes: number): void {
  let end = 0
  for (const { dtype, shape, byteOffset, byteLength } of tensors.values()) {
    expect(byteLength).toBe(shape.reduce((product, n) => product * n, bytesPerElement[dtype]))
    expect(byteOffset + byteLength).toBeLessThanOrEqual(fileBytes)
    if (byteLength > 0) expect(byteOffset).toBeGreaterThanOrEqual(end)
    end = Math.max(end, byteOffset + byteLength)
  }
}

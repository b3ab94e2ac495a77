import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  anyTensor,
  bytesOf,
  dtypes,
  inputError,
  largestAllocation,
  useFolder,
} from '../testing/file_support.ts'
import { bytesPerElement, toF32 } from './dtype.ts'
import { InputError } from './errors.ts'
import { readNpy, writeNpy } from './npy.ts'

const path = useFolder()
const golden = (name: string) => fileURLToPath(new URL(`../fixtures/${name}.npy`, import.meta.url))
const numpyTypes = dtypes.filter(dtype => dtype !== 'BF16')

test('what is written is read back: any type and shape', () => {
  fc.assert(
    fc.property(anyTensor(numpyTypes), tensor => {
      writeNpy(path('a.npy'), tensor)
      const read = readNpy(path('a.npy'))
      expect([read.dtype, read.shape]).toEqual([tensor.dtype, tensor.shape])
      expect(Buffer.compare(bytesOf(read), bytesOf(tensor))).toBe(0)
    }),
  )
})

test.each(numpyTypes)('numpy’s file of %s is read, and written to the byte', dtype => {
  const tensor = readNpy(golden(dtype))
  expect([tensor.dtype, tensor.shape]).toEqual([dtype, [2, 3]])
  const bits = Number(/\d+$/.exec(dtype)?.[0] ?? 1)
  // As in oracle/tensor_goldens.py.
  const expected = dtype.startsWith('F')
    ? [0, -0, 1.5, -2.25, 0.333251953125, 2 ** -14]
    : dtype === 'BOOL'
      ? [1, 0, 1, 1, 0, 0]
      : dtype.startsWith('U')
        ? [0, 1, 2, 3, 100, 2 ** bits - 1]
        : [0, 1, -1, 100, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))]
  expect([...toF32(tensor)]).toEqual(expected.map(Math.fround))
  writeNpy(path('a.npy'), tensor)
  expect(readFileSync(path('a.npy')).equals(readFileSync(golden(dtype)))).toBe(true)
})

test.each([
  ['scalar', [], [7]],
  ['empty', [0, 5], []],
  ['vector', [5], [0, 1, 2, 3, 4]],
  ['cube', [2, 3, 4], Array.from({ length: 24 }, (_, i) => i)],
])('numpy’s %s is read, and written to the byte', (name, shape, values) => {
  const tensor = readNpy(golden(name))
  expect([tensor.shape, [...toF32(tensor)]]).toEqual([shape, values])
  writeNpy(path('a.npy'), tensor)
  expect(readFileSync(path('a.npy')).equals(readFileSync(golden(name)))).toBe(true)
})

test.each(['version_2', 'version_3'])('numpy’s %s is read', name => {
  expect(readNpy(golden(name))).toEqual({ dtype: 'I32', shape: [5], data: Int32Array.of(0, 1, 2, 3, 4) })
})

test.each([
  ['refused_fortran', 'C order'],
  ['refused_big_endian', 'unknown .npy type'],
  ['refused_complex', 'unknown .npy type'],
  ['refused_structured', 'unknown .npy type'],
  ['refused_pickle', 'unknown .npy type'],
])('numpy’s file %s is refused', async (name, message) => {
  const { details } = await inputError(() => readNpy(golden(name)))
  expect(details.message).toContain(message)
  expect(details.file).toBe(golden(name))
})

const headerOf = (dictionary: string, data = new Uint8Array(8), version = 1, length?: number) => {
  const bytes = Buffer.from(dictionary, 'latin1')
  const prefix = Buffer.from('\x93NUMPY\x00\x00\x00\x00\x00\x00', 'latin1')
  prefix[6] = version
  if (version === 1) prefix.writeUInt16LE(length ?? bytes.length, 8)
  else prefix.writeUInt32LE(length ?? bytes.length, 8)
  return Buffer.concat([prefix.subarray(0, version === 1 ? 10 : 12), bytes, data])
}
const dictionary = (shape: string, descr = '<f4') =>
  `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`

test.each<[string, Buffer, string]>([
  ['an empty file', Buffer.alloc(0), 'too short'],
  ['another file', Buffer.from('PK\x03\x04 something else'), 'not a .npy file'],
  ['version 0', headerOf(dictionary('(2,)'), undefined, 0), 'version'],
  ['version 4', headerOf(dictionary('(2,)'), undefined, 4), 'version'],
  ['a header past the file', headerOf(dictionary('(2,)'), undefined, 1, 60_000), 'header is too long'],
  ['a header of 4 GiB', headerOf(dictionary('(2,)'), undefined, 2, 2 ** 32 - 1), 'header is too long'],
  ['data too short', headerOf(dictionary('(3,)')), 'does not match its shape'],
  ['data too long', headerOf(dictionary('(1,)')), 'does not match its shape'],
  [
    'a product past 2^53',
    headerOf(dictionary('(4503599627370496, 4503599627370496)')),
    'does not match its shape',
  ],
  [
    'a product that is no number',
    headerOf(dictionary(`(${'4503599627370496, '.repeat(30)}0)`)),
    'does not match its shape',
  ],
  ['a negative size', headerOf(dictionary('(-2,)')), 'bad .npy shape'],
  ['a size of text', headerOf(dictionary('(two,)')), 'bad .npy shape'],
  ['a size in hexadecimal', headerOf(dictionary('(0x2,)')), 'bad .npy shape'],
  ['a missing size', headerOf(dictionary('(1,,2)')), 'bad .npy shape'],
  ['an inherited name as type', headerOf(dictionary('(2,)', 'constructor')), 'unknown .npy type'],
  ['no shape', headerOf("{'descr': '<f4', 'fortran_order': False}"), 'unknown .npy type'],
  ['no order', headerOf("{'descr': '<f4', 'shape': (2,)}"), 'C order'],
])('%s is refused', async (_, bytes, message) => {
  writeFileSync(path('a.npy'), bytes)
  expect((await inputError(() => readNpy(path('a.npy')))).message).toContain(message)
  const largest = largestAllocation(() => {
    try {
      readNpy(path('a.npy'))
    } catch {}
  })
  expect(largest).toBeLessThanOrEqual(Math.max(12, bytes.length))
})

test('missing files and folders are refused', async () => {
  for (const name of ['none.npy', '.']) await inputError(() => readNpy(path(name)))
})

test('what .npy cannot hold is not written', async () => {
  await inputError(() => writeNpy(path('a.npy'), { dtype: 'BF16', shape: [1], data: Uint16Array.of(1) }))
  await inputError(() => writeNpy(path('a.npy'), { dtype: 'F32', shape: [3], data: Float32Array.of(1) }))
  expect(readdirSync(path('.'))).toEqual([])
})

test('random damage: refused as bad input, or read with figures that hold', () => {
  const whole = readFileSync(golden('cube'))
  const telling = Buffer.from("0123456789-(){},':<>|=fiubTF \n\x00\xff", 'latin1')
  const change = fc.record({
    at: fc.integer({ min: 0, max: 100 }),
    byte: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(...telling)),
    kind: fc.constantFrom('replace', 'replace', 'replace', 'cut'),
  })
  let opened = 0
  let refused = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), changes => {
      let bytes = Buffer.from(whole)
      for (const { at, byte, kind } of changes) {
        if (kind === 'cut') bytes = bytes.subarray(0, at * 2)
        else if (at < bytes.length) bytes[at] = byte
      }
      writeFileSync(path('a.npy'), bytes)
      const largest = largestAllocation(() => {
        try {
          const { dtype, shape, data } = readNpy(path('a.npy'))
          const length = shape.reduce((product, n) => product * n, 1)
          expect([data.length, data.byteLength]).toEqual([length, length * bytesPerElement[dtype]])
          opened++
        } catch (error) {
          if (!(error instanceof InputError)) throw error
          refused++
        }
      })
      expect(largest).toBeLessThanOrEqual(Math.max(12, bytes.length))
    }),
    { numRuns: 1000 },
  )
  expect(opened).toBeGreaterThan(20)
  expect(refused).toBeGreaterThan(20)
})

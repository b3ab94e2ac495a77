import { readdirSync, readFileSync, truncateSync } from 'node:fs'
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
import { toF32 } from './dtype.ts'
import { openSafetensors, writeSafetensors } from './safetensors.ts'

const path = useFolder()
const goldenPath = fileURLToPath(new URL('../fixtures/dtypes.safetensors', import.meta.url))

test('what is written is read back: any types, shapes, names and metadata', async () => {
  const names = fc.string({ unit: 'grapheme', maxLength: 12 }).filter(name => name !== '__metadata__')
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(names, anyTensor()), { maxLength: 8, selector: ([name]) => name }),
      fc.option(fc.dictionary(names, fc.string({ unit: 'grapheme' })), { nil: undefined }),
      async (given, metadata) => {
        const tensors = given.map(([name, tensor]) => ({ name, ...tensor }))
        await writeSafetensors({ path: path('a.safetensors'), tensors, metadata })
        const file = openSafetensors(path('a.safetensors'))
        try {
          expect(file.tensors.size).toBe(given.length)
          expect({ ...file.metadata }).toEqual({ ...metadata })
          for (const [name, tensor] of given) {
            const read = file.read(name)
            expect([read.dtype, read.shape]).toEqual([tensor.dtype, tensor.shape])
            expect(Buffer.compare(bytesOf(read), bytesOf(tensor))).toBe(0)
            expect(toF32(tensor).length).toBe(file.readF32(name).length)
          }
        } finally {
          file.close()
        }
      },
    ),
    { numRuns: 100 },
  )
})

test('the file of Python’s safetensors is read: every type, a scalar, an empty tensor, a name in Chinese', () => {
  const file = openSafetensors(goldenPath)
  expect(file.metadata).toEqual({ format: 'pt' })
  expect(file.tensors.size).toBe(16)
  for (const dtype of dtypes) {
    const tensor = file.read(`${dtype}.matrix`)
    expect([tensor.dtype, tensor.shape]).toEqual([dtype, [2, 3]])
    const bits = Number(/\d+$/.exec(dtype)?.[0] ?? 1)
    // As in oracle/tensor_goldens.py.
    const expected = /^B?F/.test(dtype)
      ? [0, -0, 1.5, -2.25, 0.333251953125, 2 ** -14].map(value =>
          dtype === 'BF16' && value > 0.3 && value < 0.4 ? 0.333984375 : value,
        )
      : dtype === 'BOOL'
        ? [1, 0, 1, 1, 0, 0]
        : dtype.startsWith('U')
          ? [0, 1, 2, 3, 100, 2 ** bits - 1]
          : [0, 1, -1, 100, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))]
    expect([...file.readF32(`${dtype}.matrix`)]).toEqual(expected.map(Math.fround))
  }
  expect(file.read('I64.matrix').data.at(-1)).toBe(-(2n ** 63n))
  expect(file.read('U64.matrix').data.at(-1)).toBe(2n ** 64n - 1n)
  expect(file.read('scalar')).toEqual({ dtype: 'F32', shape: [], data: Float32Array.of(7) })
  expect(file.read('empty')).toEqual({ dtype: 'F32', shape: [0, 5], data: new Float32Array(0) })
  expect([...file.readF32('naïve 张量')]).toEqual(Array.from({ length: 24 }, (_, i) => i))
  file.close()
})

test('the same tensors in the same order are written to the byte as Python’s safetensors writes them', async () => {
  const file = openSafetensors(goldenPath)
  const tensors = [...file.tensors.keys()].map(name => ({ name, ...file.read(name) }))
  await writeSafetensors({ path: path('b.safetensors'), tensors, metadata: file.metadata })
  file.close()
  expect(readFileSync(path('b.safetensors')).equals(readFileSync(goldenPath))).toBe(true)
})

test('only the bytes asked for are read, from their place in the file', async () => {
  const data = Float32Array.from({ length: 100_000 }, (_, i) => i)
  const small = Float32Array.of(1, 2, 3)
  const tensors = [
    { name: 'big', dtype: 'F32' as const, shape: [100_000], data },
    { name: '7', dtype: 'F32' as const, shape: [3], data: small },
  ]
  await writeSafetensors({ path: path('a.safetensors'), tensors })
  const file = openSafetensors(path('a.safetensors'))
  expect([...file.tensors.keys()]).toEqual(['big', '7'])
  const { byteOffset, byteLength } = file.tensors.get('7')!
  const raw = readFileSync(path('a.safetensors')).subarray(byteOffset, byteOffset + byteLength)
  expect(new Float32Array(Uint8Array.from(raw).buffer)).toEqual(small)
  const largest = largestAllocation(() => expect(file.readF32('7')).toEqual(small))
  expect(largest).toBe(12)
  // Data is read on request: a file truncated after opening is reported.
  truncateSync(path('a.safetensors'), byteOffset + 4)
  expect((await inputError(() => file.read('7'))).message).toContain('ended early')
  expect((await inputError(() => file.read('8'))).details).toMatchObject({
    field: '8',
    message: 'no such tensor',
  })
  file.close()
})

test('tensors that are views into larger memory are written as they are', async () => {
  const memory = Float32Array.from({ length: 10 }, (_, i) => i)
  const tensors = [{ name: 'a', dtype: 'F32' as const, shape: [2], data: memory.subarray(4, 6) }]
  await writeSafetensors({ path: path('a.safetensors'), tensors })
  expect([...openSafetensors(path('a.safetensors')).readF32('a')]).toEqual([4, 5])
})

test('names of Object.prototype are names like others', async () => {
  const names = ['__proto__', 'constructor', 'hasOwnProperty', '0']
  const tensors = names.map(name => ({
    name,
    dtype: 'U8' as const,
    shape: [1],
    data: Uint8Array.of(name.length),
  }))
  const metadata = JSON.parse('{"__proto__": "x"}') as Record<string, string>
  await writeSafetensors({ path: path('a.safetensors'), tensors, metadata })
  const file = openSafetensors(path('a.safetensors'))
  for (const name of names) expect(file.read(name).data[0]).toBe(name.length)
  expect(Object.entries(file.metadata)).toEqual([['__proto__', 'x']])
})

test('missing files and folders are refused', async () => {
  for (const name of ['none.safetensors', '.']) {
    expect((await inputError(() => openSafetensors(path(name)))).details.file).toBe(path(name))
  }
})

test('tensors that cannot be written are refused before anything is', async () => {
  const tensor = { name: 'a', dtype: 'F32' as const, shape: [2], data: Float32Array.of(1, 2) }
  for (const tensors of [
    [{ ...tensor, shape: [3] }],
    [tensor, tensor],
    [{ ...tensor, name: '__metadata__' }],
  ]) {
    await inputError(() => writeSafetensors({ path: path('a.safetensors'), tensors }))
  }
  expect(readdirSync(path('.'))).toEqual([])
})

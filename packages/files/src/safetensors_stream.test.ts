// Files written in pieces: readable like any other, complete or absent.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { bytesOf, inputError, useFolder } from '../testing/file_support.ts'
import { openSafetensors, writeSafetensors } from './safetensors.ts'
import { streamSafetensors } from './safetensors_stream.ts'

const path = useFolder()
const data = Float32Array.from({ length: 12 }, (_, i) => i / 7)
const bytes = bytesOf({ dtype: 'F32', shape: [4, 3], data })
const tensor = { name: 'a', dtype: 'F32' as const, shape: [4, 3] }

test('pieces make the same file as one write', async () => {
  const metadata = { by: 'test' }
  await streamSafetensors({
    path: path('streamed'),
    metadata,
    tensors: [
      {
        ...tensor,
        async *pieces() {
          yield bytes.subarray(0, 7)
          await Promise.resolve()
          yield bytes.subarray(7)
        },
      },
      { name: 'none', dtype: 'F64', shape: [0], pieces: () => [] },
    ],
  })
  await writeSafetensors({
    path: path('whole'),
    metadata,
    tensors: [
      { ...tensor, data },
      { name: 'none', dtype: 'F64', shape: [0], data: new Float64Array(0) },
    ],
  })
  expect(readFileSync(path('streamed'))).toEqual(readFileSync(path('whole')))
  const file = openSafetensors(path('streamed'))
  expect([...file.readF32('a')]).toEqual([...data])
  file.close()
})

test.each([
  [
    'a piece that fails',
    () => {
      throw new Error('no more')
    },
    /no more/,
  ],
  ['too few bytes', () => [bytes.subarray(1)], /came as 47 bytes, expected 48/],
])('%s leaves the old file and nothing beside it', async (_, pieces, message) => {
  writeFileSync(path('file'), 'old')
  await expect(streamSafetensors({ path: path('file'), tensors: [{ ...tensor, pieces }] })).rejects.toThrow(
    message,
  )
  expect(readFileSync(path('file'), 'utf8')).toBe('old')
  expect(readdirSync(dirname(path('file')))).toEqual(['file'])
})

test('a place that cannot be written is named', async () => {
  const error = await inputError(() =>
    streamSafetensors({ path: path('missing/file'), tensors: [{ ...tensor, pieces: () => [bytes] }] }),
  )
  expect(error.details.file).toBe(path('missing/file'))
  expect(existsSync(path('missing'))).toBe(false)
})

// Stores damaged after `tokenizeFiles` made them: refused as bad input, whatever the damage.
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  byteTokenizer,
  inputError,
  makeStore,
  someTexts,
  stream,
  useFolder,
} from '../testing/corpus_support.ts'
import { openTokenStore } from './token_store.ts'

const folder = useFolder()
const tokenizer = byteTokenizer()

test('ids beyond the vocabulary are refused when written and when read', async () => {
  const wrong = { ...tokenizer, vocabSize: 100, documentToken: 0, specialTokens: new Set([0]) }
  const written = await inputError(() =>
    makeStore(folder, ['hello you'.repeat(9)], { tokenizer: wrong, heldOutFraction: 0 }),
  )
  expect(written.details).toMatchObject({ line: 1, found: '104', expected: '0 to 99' })
  const opened = await makeStore(folder, someTexts(50), { heldOutFraction: 0 })
  const path = join(opened.dir, 'train.tokens.bin')
  const bytes = readFileSync(path)
  bytes.writeUInt16LE(257, 2 * (16 * 3 + 5))
  writeFileSync(path, bytes)
  const split = opened.split('train')
  const read = (index: number) => split.readContext(index, new Int32Array(16), new Uint8Array(16))
  read(2)
  const { details } = await inputError(() => read(3))
  expect(details).toMatchObject({ file: path, field: 'token 53', found: '257' })
  truncateSync(path, 2 * 16 * 4)
  expect((await inputError(() => read(4))).message).toContain('ended early')
})

type Json = { [key: string]: unknown }

test.each<[string, (json: Json) => unknown]>([
  ['format', json => (json.format = 'other')],
  ['format_version', json => (json.format_version = 2)],
  ['context_size', json => (json.context_size = 1e12)],
  ['context_size', json => (json.context_size = 1)],
  ['vocab_size', json => (json.vocab_size = '257')],
  ['document_token', json => (json.document_token = 257)],
  ['special_tokens[0]', json => (json.special_tokens = [-1])],
  ['special_tokens', json => delete json.special_tokens],
  ['held_out_fraction', json => (json.held_out_fraction = 2)],
  ['files[0]', json => (json.files = [null])],
  ['sha256', json => (json.files = [{ path: 'a', bytes: 1 }])],
  ['text_field', json => (json.text_field = 3)],
  ['splits', json => (json.splits = [])],
  ['splits.held_out', json => delete (json.splits as Json).held_out],
  ['contexts', json => (((json.splits as Json).train as Json).contexts = 1e15)],
  ['splits.train.tokens', json => (((json.splits as Json).train as Json).tokens = 5)],
  ['documents', json => (((json.splits as Json).train as Json).documents = 0)],
  ['dropped_tokens', json => (((json.splits as Json).train as Json).dropped_tokens = 16)],
  [
    'splits.train.length_histogram[0]',
    json => (((json.splits as Json).train as Json).length_histogram = [-1]),
  ],
])('store.json with a wrong %s is refused', async (field, change) => {
  const { dir } = await makeStore(folder, someTexts(50))
  const path = join(dir, 'store.json')
  const json = JSON.parse(readFileSync(path, 'utf8')) as Json
  change(json)
  writeFileSync(path, JSON.stringify(json))
  expect((await inputError(() => openTokenStore({ dir }))).details).toMatchObject({ file: path, field })
})

test('missing, cut and overlong files are refused', async () => {
  const { dir } = await makeStore(folder, someTexts(100))
  expect((await inputError(() => openTokenStore({ dir: folder.path('none') }))).message).toContain(
    'not a token store',
  )
  for (const name of [
    'train.tokens.bin',
    'held_out.tokens.bin',
    'train.documents.bin',
    'held_out.documents.bin',
  ]) {
    const path = join(dir, name)
    const bytes = readFileSync(path)
    for (const other of [bytes.subarray(1), Buffer.concat([bytes, bytes.subarray(0, 1)])]) {
      writeFileSync(path, other)
      expect((await inputError(() => openTokenStore({ dir }))).details.file).toBe(path)
    }
    writeFileSync(path, bytes)
  }
  openTokenStore({ dir }).close()
  writeFileSync(join(dir, 'store.json'), '{"format"')
  expect((await inputError(() => openTokenStore({ dir }))).message).toContain('not JSON')
})

test.each<[string, number, bigint]>([
  ['start of document 0', 0, 1n],
  ['start of document 4', 64, 0n],
  ['start of document 4', 64, 1n << 63n],
  ['source file of document 2', 40, 1n],
])('a document table with a wrong %s is refused', async (field, offset, value) => {
  const { dir } = await makeStore(folder, someTexts(50))
  const path = join(dir, 'train.documents.bin')
  const bytes = readFileSync(path)
  bytes.writeBigUInt64LE(value, offset)
  writeFileSync(path, bytes)
  expect((await inputError(() => openTokenStore({ dir }))).details).toMatchObject({ file: path, field })
})

test('random damage is refused or read as tokens of the vocabulary, never anything else', async () => {
  const { dir } = await makeStore(folder, someTexts(60))
  const whole = new Map(readdirSync(dir).map(name => [name, readFileSync(join(dir, name))]))
  const damage = fc.record({
    name: fc.constantFrom(...whole.keys()),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    cut: fc.boolean(),
  })
  fc.assert(
    fc.property(damage, ({ name, at, byte, cut }) => {
      const bytes = Buffer.from(whole.get(name)!)
      const place = Math.floor(at * bytes.length)
      bytes[place] = byte
      writeFileSync(join(dir, name), cut ? bytes.subarray(0, place) : bytes)
      try {
        const opened = openTokenStore({ dir })
        try {
          for (const side of ['train', 'held_out'] as const) {
            const split = opened.split(side)
            for (const id of stream(split, opened.contextSize).ids)
              expect(id >= 0 && id < opened.vocabSize).toBe(true)
            for (let index = 0; index < split.contexts; index++) {
              expect(split.documentsOf(index).at(-1)?.end).toBe(opened.contextSize)
            }
          }
        } finally {
          opened.close()
        }
      } catch (error) {
        if (!(error instanceof InputError)) throw error
      }
      writeFileSync(join(dir, name), whole.get(name)!)
    }),
    { numRuns: 400 },
  )
})

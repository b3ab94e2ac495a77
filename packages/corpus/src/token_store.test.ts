import { createHash } from 'node:crypto'
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/tensor'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isHeldOut } from './held_out.ts'
import { byteTokenizer, inputError, jsonl, useFolder } from './test_support.ts'
import type { TextTokenizer } from './text_tokenizer.ts'
import { checkTokenizer, openTokenStore, type TokenSplit } from './token_store.ts'
import { type TokenizeOptions, type TokenizeProgress, tokenizeFiles } from './tokenize_files.ts'

const folder = useFolder()
const tokenizer = byteTokenizer()
const words = 'In the beginning was the word and the rest is noise '.split(' ')
const someTexts = (count: number, seed = 0) =>
  Array.from({ length: count }, (_, i) =>
    Array.from(
      { length: 1 + ((i * 7 + seed) % 23) },
      (_, j) => words[(i + j * 3 + seed) % words.length] + i,
    ).join(' '),
  )

async function store(texts: string[], rest: Partial<TokenizeOptions> = {}) {
  const out = rest.out ?? folder.path('store')
  const files = rest.files ?? [folder.write('a.jsonl', jsonl(texts))]
  await tokenizeFiles({ files, tokenizer, contextSize: 16, out, ...rest })
  return openTokenStore({ dir: out })
}

/** All whole contexts of a split, one after another. */
function stream(split: TokenSplit, contextSize: number) {
  const ids: number[] = []
  const mask: number[] = []
  const contextIds = new Int32Array(contextSize)
  const contextMask = new Uint8Array(contextSize)
  for (let index = 0; index < split.contexts; index++) {
    split.readContext(index, contextIds, contextMask)
    ids.push(...contextIds)
    mask.push(...contextMask)
  }
  return { ids, mask }
}

/** The stream of a split as the definition has it. */
function definedStream(texts: string[], using: TextTokenizer, heldOut: boolean, fraction: number): number[] {
  return texts
    .filter(text => text !== '' && isHeldOut({ text, fraction }) === heldOut)
    .flatMap(text => [using.documentToken, ...Array.from(using.encodeIds(text))])
}

test('the tokens of every document come back exactly, packed without padding, the tail dropped and counted', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 60 }), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 2, max: 40 }),
      fc.constantFrom(257, 65_536, 65_537, 100_000),
      fc.constantFrom(0, 0.1, 0.5),
      async (texts, contextSize, vocabSize, heldOutFraction) => {
        const using = byteTokenizer({ vocabSize, shift: vocabSize - 257 })
        const sides = [false, true].map(side => definedStream(texts, using, side, heldOutFraction))
        fc.pre(sides[0].length >= contextSize)
        const opened = await store(texts, { contextSize, tokenizer: using, heldOutFraction })
        for (const [i, name] of (['train', 'held_out'] as const).entries()) {
          const info = opened.info.splits[name]
          const whole = sides[i].length - (sides[i].length % contextSize)
          expect(info.tokens).toBe(whole)
          expect(info.contexts).toBe(whole / contextSize)
          expect(info.droppedTokens).toBe(sides[i].length - whole)
          if (whole > 0) expect(stream(opened.split(name), contextSize).ids).toEqual(sides[i].slice(0, whole))
          const bytes = statSync(join(opened.dir, `${name}.tokens.bin`)).size
          expect(bytes).toBe(whole * (vocabSize > 65_536 ? 4 : 2))
        }
        opened.close()
      },
    ),
    { numRuns: 60 },
  )
})

test('the spans of a context cover it, and lead back to the file, the row and the text', async () => {
  const texts = someTexts(300)
  const files = [
    folder.write('a.jsonl', jsonl(texts.slice(0, 200))),
    folder.write('b.txt', texts[200]),
    folder.write('c.jsonl', '\n' + jsonl(texts.slice(201))),
  ]
  const opened = await store([], { files, contextSize: 24 })
  for (const name of ['train', 'held_out'] as const) {
    const split = opened.split(name)
    const { ids } = stream(split, 24)
    const pieces = new Map<number, { source: string; ids: number[] }>()
    for (let index = 0; index < split.contexts; index++) {
      let place = 0
      for (const { start, end, document, sourceFile, sourceRow } of split.documentsOf(index)) {
        expect(start).toBe(place)
        expect(end).toBeGreaterThan(start)
        place = end
        const piece = pieces.get(document) ?? { source: `${files.indexOf(sourceFile)}/${sourceRow}`, ids: [] }
        piece.ids.push(...ids.slice(index * 24 + start, index * 24 + end))
        pieces.set(document, piece)
      }
      expect(place).toBe(24)
    }
    expect([...pieces.keys()]).toEqual(Array.from({ length: pieces.size }, (_, i) => i))
    const whole = [...pieces.values()].slice(0, -1)
    expect(whole.length).toBeGreaterThan(10)
    for (const { source, ids } of whole) {
      const [file, row] = source.split('/').map(Number)
      const text = texts[file === 0 ? row : file === 1 ? 200 : 200 + row]
      expect(ids).toEqual([256, ...Buffer.from(text)])
      expect(isHeldOut({ text, fraction: 0.1 })).toBe(name === 'held_out')
    }
  }
})

test('documents over many blocks of the table are found, in any order of asking', async () => {
  const texts = Array.from({ length: 5000 }, (_, i) => `${i}`)
  const opened = await store(texts, { heldOutFraction: 0, contextSize: 8 })
  const split = opened.split('train')
  const { ids } = stream(split, 8)
  for (let step = 0; step < split.contexts; step++) {
    const index = (step * 7919) % split.contexts
    for (const { start, document, end, sourceRow } of split.documentsOf(index)) {
      expect(sourceRow).toBe(document)
      const piece = ids.slice(index * 8 + start, index * 8 + end)
      if (piece[0] === 256)
        expect(`${document}`.startsWith(Buffer.from(piece.slice(1)).toString())).toBe(true)
      else expect(`${document}`.includes(Buffer.from(piece).toString())).toBe(true)
    }
  }
  expect(split.documents).toBe(5000)
})

test('the mask is 0 at place 0 of a context and at special tokens, 1 elsewhere', async () => {
  const special = { ...tokenizer, specialTokens: new Set([32]) }
  const opened = await store(someTexts(80), { tokenizer: special })
  const { ids, mask } = stream(opened.split('train'), 16)
  expect(opened.info.specialTokens).toEqual([32, 256])
  for (const [i, id] of ids.entries()) expect(mask[i]).toBe(i % 16 === 0 || id === 32 || id === 256 ? 0 : 1)
  expect(mask.filter(Boolean).length).toBeGreaterThan(mask.length / 2)
})

test('equal texts of different files lie on the same side', async () => {
  const texts = someTexts(400)
  const files = ['a.jsonl', 'b.jsonl'].map(name => folder.write(name, jsonl(texts)))
  const { info } = await store([], { files })
  const once = await store(texts, { out: folder.path('once') })
  for (const name of ['train', 'held_out'] as const) {
    expect(info.splits[name].documents).toBe(2 * once.info.splits[name].documents)
  }
  expect(info.splits.held_out.documents).toBeGreaterThan(20)
})

test('store.json tells what was read: files, sums, lengths, lines passed over', async () => {
  const texts = ['a', 'bc', 'def', 'ghij', 'k'.repeat(64), 'l'.repeat(127), '']
  const body = jsonl(texts) + 'no json\n{"txt": 1}\n'
  const file = folder.write('a.jsonl', body)
  const opened = await store([], { files: [file], skipBadLines: true, heldOutFraction: 0 })
  expect(opened.info).toMatchObject({
    contextSize: 16,
    vocabSize: 257,
    documentToken: 256,
    textField: 'text',
    badLines: 2,
    emptyDocuments: 1,
    heldOutFraction: 0,
  })
  const sha256 = createHash('sha256').update(body).digest('hex')
  expect(opened.info.files).toEqual([{ path: file, bytes: Buffer.byteLength(body), sha256 }])
  const { train } = opened.info.splits
  expect(train.documents).toBe(6)
  expect(train.tokens + train.droppedTokens).toBe(texts.join('').length + 6)
  expect(train.lengthHistogram).toEqual([1, 2, 1, 0, 0, 0, 2])
  expect(opened.name).toBe('store')
  const json = JSON.parse(readFileSync(folder.path('store/store.json'), 'utf8'))
  expect(json).toMatchObject({
    format_version: 1,
    context_size: 16,
    splits: { train: { dropped_tokens: 15 } },
  })
})

test('progress counts up to all bytes, documents and tokens', async () => {
  const seen: TokenizeProgress[] = []
  const texts = someTexts(3000).map(text => text.repeat(3))
  const files = [folder.write('a.jsonl', jsonl(texts)), folder.write('b.jsonl', jsonl(texts))]
  const { info } = await store([], { files, onProgress: progress => seen.push(progress) })
  expect(seen.length).toBeGreaterThan(4)
  for (let i = 1; i < seen.length; i++)
    expect(seen[i].bytesDone).toBeGreaterThanOrEqual(seen[i - 1].bytesDone)
  const last = seen[seen.length - 1]
  expect(last.bytesDone).toBe(last.bytesTotal)
  expect(last.documents).toBe(6000)
  const { train, held_out } = info.splits
  expect(last.tokens).toBe(train.tokens + train.droppedTokens + held_out.tokens + held_out.droppedTokens)
})

test('the same files give the same bytes; an earlier store is replaced whole', async () => {
  const read = (dir: string) => readdirSync(dir).map(name => readFileSync(join(dir, name)).toString('latin1'))
  const first = await store(someTexts(100))
  const bytes = read(first.dir)
  first.close()
  await store(someTexts(50, 3))
  expect(read(first.dir)).not.toEqual(bytes)
  await store(someTexts(100))
  expect(read(first.dir)).toEqual(bytes)
})

test('a failure leaves the earlier store as it was, and nothing beside it', async () => {
  const first = await store(someTexts(100))
  const before = readFileSync(join(first.dir, 'train.tokens.bin'))
  const broken = folder.write('b.jsonl', jsonl(someTexts(100, 3)) + '{')
  const error = await inputError(() => store([], { files: [broken] }))
  expect(error.details).toMatchObject({ file: broken, line: 101, field: 'text' })
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const onProgress = () => {
    throw full
  }
  await expect(store(someTexts(40), { onProgress })).rejects.toBe(full)
  expect(readFileSync(join(first.dir, 'train.tokens.bin'))).toEqual(before)
  expect(readdirSync(folder.path('.')).sort()).toEqual(['a.jsonl', 'b.jsonl', 'store'])
})

test('a crash between the two renames is mended when the store is opened', async () => {
  const first = await store(someTexts(100))
  first.close()
  renameSync(first.dir, folder.path('.store.old'))
  expect(openTokenStore({ dir: first.dir }).info).toEqual(first.info)
})

test('an empty data set is refused with what was found', async () => {
  const cases: [string, string][] = [
    ['', '0 documents, 0 tokens'],
    [jsonl(['', '']), '2 empty documents'],
    [jsonl(['short']), '1 documents, 6 tokens'],
    ['nothing here\n', '1 bad lines'],
  ]
  for (const [body, found] of cases) {
    const files = [folder.write('a.jsonl', body)]
    const { details } = await inputError(() => store([], { files, skipBadLines: true, heldOutFraction: 0 }))
    expect(details.found).toContain(found)
    expect(details.expected).toContain('one context of 16 tokens')
    expect(existsSync(folder.path('store'))).toBe(false)
  }
})

test('a split without a whole context says so when it is asked for', async () => {
  const opened = await store(someTexts(20), { heldOutFraction: 0 })
  expect(opened.split('train').contexts).toBeGreaterThan(0)
  expect((await inputError(() => opened.split('held_out'))).message).toContain("'held_out' is empty")
})

test('bad options are refused before anything is written', async () => {
  const file = folder.write('a.jsonl', jsonl(someTexts(20)))
  const cases: [Partial<TokenizeOptions>, string][] = [
    [{ files: [] }, 'no text files'],
    [{ files: [folder.path('none.txt')] }, 'no such text file'],
    [{ contextSize: 1 }, 'context size'],
    [{ contextSize: 2.5 }, 'context size'],
    [{ contextSize: 2 ** 21 }, 'context size'],
    [{ heldOutFraction: 1 }, 'held-out'],
    [{ heldOutFraction: Number.NaN }, 'held-out'],
    [{ out: folder.path('.') }, 'replace its own source'],
    [{ out: file }, 'the place is taken'],
    [{ out: join(file, 'store') }, 'cannot write here'],
  ]
  for (const [rest, message] of cases) {
    const action = () =>
      tokenizeFiles({ files: [file], tokenizer, contextSize: 16, out: folder.path('store'), ...rest })
    expect((await inputError(action)).message).toContain(message)
    expect(readdirSync(folder.path('.'))).toEqual(['a.jsonl'])
  }
})

test('a folder that holds other things is never replaced', async () => {
  const opened = await store(someTexts(20), { out: folder.path('mine') })
  renameSync(join(opened.dir, 'store.json'), join(opened.dir, 'letter.txt'))
  const error = await inputError(() => store(someTexts(20), { out: folder.path('mine') }))
  expect(error.message).toContain('the place is taken')
  expect(existsSync(folder.path('mine/letter.txt'))).toBe(true)
})

test('ids beyond the vocabulary are refused when written and when read', async () => {
  const wrong = { ...tokenizer, vocabSize: 100, documentToken: 0, specialTokens: new Set([0]) }
  const written = await inputError(() =>
    store(['hello you'.repeat(9)], { tokenizer: wrong, heldOutFraction: 0 }),
  )
  expect(written.details).toMatchObject({ line: 1, found: '104', expected: '0 to 99' })
  const opened = await store(someTexts(50), { heldOutFraction: 0 })
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

test('wrong indices and wrong room are the caller’s errors', async () => {
  const split = (await store(someTexts(50))).split('train')
  for (const index of [-1, split.contexts, 0.5]) {
    expect(() => split.readContext(index, new Int32Array(16), new Uint8Array(16))).toThrow(RangeError)
    expect(() => split.documentsOf(index)).toThrow(RangeError)
  }
  expect(() => split.readContext(0, new Int32Array(15), new Uint8Array(16))).toThrow(RangeError)
  expect(() => split.readContext(0, new Int32Array(16), new Uint8Array(17))).toThrow(RangeError)
})

test('a store is tied to what its tokenizer does', async () => {
  const opened = await store(someTexts(50))
  checkTokenizer({ store: opened, tokenizer: byteTokenizer() })
  const lower = { ...tokenizer, encodeIds: (text: string) => tokenizer.encodeIds(text.toLowerCase()) }
  for (const other of [
    lower,
    byteTokenizer({ vocabSize: 300 }),
    { ...tokenizer, specialTokens: new Set<number>() },
  ]) {
    const { details } = await inputError(() => checkTokenizer({ store: opened, tokenizer: other }))
    expect(details.field).toBe('tokenizer_fingerprint')
  }
})

type Json = { [key: string]: unknown }

test.each<[string, (json: Json) => unknown]>([
  ['format', json => (json.format = 'other')],
  ['format_version', json => (json.format_version = 2)],
  ['context_size', json => (json.context_size = 1e12)],
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
  const { dir } = await store(someTexts(50))
  const path = join(dir, 'store.json')
  const json = JSON.parse(readFileSync(path, 'utf8')) as Json
  change(json)
  writeFileSync(path, JSON.stringify(json))
  expect((await inputError(() => openTokenStore({ dir }))).details).toMatchObject({ file: path, field })
})

test('missing, cut and overlong files are refused', async () => {
  const { dir } = await store(someTexts(100))
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
  const { dir } = await store(someTexts(50))
  const path = join(dir, 'train.documents.bin')
  const bytes = readFileSync(path)
  bytes.writeBigUInt64LE(value, offset)
  writeFileSync(path, bytes)
  expect((await inputError(() => openTokenStore({ dir }))).details).toMatchObject({ file: path, field })
})

test('random damage is refused or read as tokens of the vocabulary, never anything else', async () => {
  const { dir } = await store(someTexts(60))
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

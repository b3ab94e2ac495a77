import { statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  byteTokenizer,
  inputError,
  jsonl,
  makeStore,
  someTexts,
  stream,
  useFolder,
} from '../testing/corpus_support.ts'
import { isHeldOut } from './held_out.ts'
import type { TextTokenizer } from './text_tokenizer.ts'
import { checkTokenizer } from './token_store.ts'

const folder = useFolder()
const tokenizer = byteTokenizer()

/** The stream of a split, by definition. */
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
        const opened = await makeStore(folder, texts, { contextSize, tokenizer: using, heldOutFraction })
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
  const opened = await makeStore(folder, [], { files, contextSize: 24 })
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
  const opened = await makeStore(folder, texts, { heldOutFraction: 0, contextSize: 8 })
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

test('a document that begins with a context, or a block of the table, is that context’s first', async () => {
  const texts = Array.from({ length: 3000 }, (_, i) => `${1_000_000 + i}`)
  const split = (await makeStore(folder, texts, { heldOutFraction: 0, contextSize: 8 })).split('train')
  for (let index = 0; index < 3000; index++) {
    const spans = split.documentsOf(index).map(({ start, end, document }) => [start, end, document])
    expect(spans).toEqual([[0, 8, index]])
  }
})

test('the mask is 0 at place 0 of a context and at special tokens, 1 elsewhere', async () => {
  const special = { ...tokenizer, specialTokens: new Set([32]) }
  const opened = await makeStore(folder, someTexts(80), { tokenizer: special })
  const { ids, mask } = stream(opened.split('train'), 16)
  expect(opened.info.specialTokens).toEqual([32, 256])
  for (const [i, id] of ids.entries()) expect(mask[i]).toBe(i % 16 === 0 || id === 32 || id === 256 ? 0 : 1)
  expect(mask.filter(Boolean).length).toBeGreaterThan(mask.length / 2)
})

test('equal texts of different files lie on the same side', async () => {
  const texts = someTexts(400)
  const files = ['a.jsonl', 'b.jsonl'].map(name => folder.write(name, jsonl(texts)))
  const { info } = await makeStore(folder, [], { files })
  const once = await makeStore(folder, texts, { out: folder.path('once') })
  for (const name of ['train', 'held_out'] as const) {
    expect(info.splits[name].documents).toBe(2 * once.info.splits[name].documents)
  }
  expect(info.splits.held_out.documents).toBeGreaterThan(20)
})

test('a split without a whole context says so when it is asked for', async () => {
  const opened = await makeStore(folder, someTexts(20), { heldOutFraction: 0 })
  expect(opened.split('train').contexts).toBeGreaterThan(0)
  expect((await inputError(() => opened.split('held_out'))).message).toContain("'held_out' is empty")
})

test('wrong indices and wrong room are the caller’s errors', async () => {
  const split = (await makeStore(folder, someTexts(50))).split('train')
  for (const index of [-1, split.contexts, 0.5]) {
    expect(() => split.readContext(index, new Int32Array(16), new Uint8Array(16))).toThrow(RangeError)
    expect(() => split.documentsOf(index)).toThrow(RangeError)
  }
  expect(() => split.readContext(0, new Int32Array(15), new Uint8Array(16))).toThrow(RangeError)
  expect(() => split.readContext(0, new Int32Array(16), new Uint8Array(17))).toThrow(RangeError)
})

test('a store is tied to what its tokenizer does', async () => {
  const opened = await makeStore(folder, someTexts(50))
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

// The tokenizer against Python's `tokenizers` (fixtures of oracle/tokenizer_goldens.py): ids, offsets and
// decoded text of thirty tokenizers and of the demo model's, exactly.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openTokenizer } from './tokenizer.ts'

type Case = { text: string; ids: number[]; offsets: [number, number][]; decoded: string }

const fixtures = join(import.meta.dirname, '../fixtures')
const demoDir = join(import.meta.dirname, '../../../assets/demo/model')
const names = readdirSync(fixtures).filter(name => !name.endsWith('.json'))
const readCases = (file: string): Case[] => JSON.parse(readFileSync(file, 'utf8'))
const fixture = (name: string) => openTokenizer({ dir: join(fixtures, name) })

/** Offsets of Python count code points, ours UTF-16 code units. */
function inUnits({ text, offsets }: Case): [number, number][] {
  const units = [0]
  for (const character of text) units.push(units[units.length - 1] + character.length)
  return offsets.map(([start, end]) => [units[start], units[end]])
}

describe("equal to Python's tokenizers", () => {
  const all = [
    ...names.map(name => ({ name, dir: join(fixtures, name), file: join(fixtures, name, 'expected.json') })),
    { name: 'the demo model', dir: demoDir, file: join(fixtures, 'demo.json') },
  ]
  test.each(all)('$name', ({ dir, file }) => {
    const tokenizer = openTokenizer({ dir })
    const cases = readCases(file)
    expect(cases.length).toBeGreaterThan(80)
    for (const expected of cases) {
      const { text, ids, decoded } = expected
      expect({ text, ...tokenizer.encode(text) }).toEqual({ text, ids, offsets: inUnits(expected) })
      expect(tokenizer.encodeIds(text)).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(decoded)
    }
  })

  test('the fixtures hold every kind of tokenizer', () => expect(names).toHaveLength(30))
})

test("the demo's texts get the library's ids", () => {
  const file = (name: string) => JSON.parse(readFileSync(join(demoDir, name), 'utf8'))
  const library = new LibraryTokenizer(file('tokenizer.json'), file('tokenizer_config.json'))
  const tokenizer = openTokenizer({ dir: demoDir })
  for (const name of ['scripture', 'programming', 'databases', 'dictionary']) {
    const lines = readFileSync(join(demoDir, '../datasets', `${name}.jsonl`), 'utf8').split('\n', 12)
    for (const line of lines) {
      const { text }: { text: string } = JSON.parse(line)
      expect(tokenizer.encodeIds(text)).toEqual(library.encode(text, { add_special_tokens: false }).ids)
    }
  }
})

const anyText = fc.string({ unit: 'binary', maxLength: 60 })

describe('random texts', () => {
  const untrimmed = ['gpt2_untrimmed', 'gpt2_no_post', 'digits'].map(name => ({
    name,
    tokenizer: fixture(name),
  }))

  test.each(untrimmed)('byte-level offsets cover the text in order: $name', ({ tokenizer }) => {
    fc.assert(
      fc.property(anyText, text => {
        const { ids, offsets } = tokenizer.encode(text)
        expect(offsets).toHaveLength(ids.length)
        let covered = 0
        for (const [start, end] of offsets) {
          expect(start).toBeLessThanOrEqual(covered)
          expect(end).toBeGreaterThanOrEqual(covered)
          expect(end).toBeGreaterThan(start)
          covered = end
        }
        expect(covered).toBe(text.length)
      }),
    )
  })

  test.each(untrimmed)('decode gives the text back, pieces too: $name', ({ tokenizer }) => {
    fc.assert(
      fc.property(anyText, text => {
        const ids = tokenizer.encodeIds(text)
        expect(tokenizer.decode(ids)).toBe(text)
        const pieces = tokenizer.pieces(ids)
        expect(pieces.map(piece => piece.text).join('')).toBe(text)
        expect(pieces.flatMap(({ from, to }) => ids.slice(from, to))).toEqual(ids)
      }),
    )
  })

  const everyKind = names.map(name => ({ name, tokenizer: fixture(name) }))
  test.each(everyKind)('places lie in the text, halves of pairs harm nothing: $name', ({ tokenizer }) => {
    const broken = fc.string({ unit: fc.nat(0xffff).map(unit => String.fromCharCode(unit)), maxLength: 30 })
    fc.assert(
      fc.property(broken, text => {
        const { ids, offsets } = tokenizer.encode(text)
        expect(tokenizer.encodeIds(text)).toEqual(ids)
        for (const [start, end] of offsets)
          expect(0 <= start && start <= end && end <= text.length).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})

describe('a document in one word', () => {
  test('is cut as its parts are, where no merge crosses them', () => {
    const tokenizer = fixture('llama2')
    const part = 'the word, and the people'
    const once = tokenizer.encodeIds(part)
    const many = tokenizer.encode(Array.from({ length: 2000 }, () => part).join('\n'))
    const newline = tokenizer.encodeIds('\n').slice(1)
    // Every later part lacks the `▁` before the text.
    expect(many.ids.slice(0, once.length + newline.length)).toEqual([...once, ...newline])
    expect(many.offsets.at(-1)?.[1]).toBe(2000 * (part.length + 1) - 1)
  })
})

describe('how tokens read', () => {
  const tokenizer = fixture('gpt2')
  const text = 'ab 😀\u{2f800}漢'

  test('a character split by tokens is one piece, each token with its whole range', () => {
    const { ids, offsets } = tokenizer.encode('x𠮷y')
    expect(ids).toHaveLength(6)
    expect(offsets.slice(1, 5)).toEqual(Array(4).fill([1, 3]))
    expect(tokenizer.pieces(ids)).toEqual([
      { text: 'x', from: 0, to: 1 },
      { text: '𠮷', from: 1, to: 5 },
      { text: 'y', from: 5, to: 6 },
    ])
  })

  test('pieces of a part that begins and ends within a character', () => {
    const ids = tokenizer.encodeIds('𠮷a𠮷')
    const texts = tokenizer.pieces(ids.slice(1, -1)).map(piece => piece.text)
    expect(texts.filter(piece => piece === 'a')).toHaveLength(1)
    expect(texts.slice(0, 3)).toEqual(['\ufffd', '\ufffd', '\ufffd'])
    expect(texts.at(-1)).toBe('\ufffd')
  })

  test('one token: spaces stay, part of a character is U+FFFD, added tokens are themselves', () => {
    const [word] = tokenizer.encodeIds(' the')
    expect(tokenizer.tokenText(word)).toBe(' the')
    expect(tokenizer.tokenText(tokenizer.encodeIds('𠮷')[0])).toBe('\ufffd')
    expect(tokenizer.tokenText(tokenizer.encodeIds('<mark>')[0])).toBe('<mark>')
    expect(tokenizer.encodeIds(text).map(tokenizer.tokenText).join('')).toContain('ab ')
  })

  test('SentencePiece: the mark is a space, bytes join', () => {
    const llama = fixture('llama2')
    const ids = llama.encodeIds('the 𠮷')
    expect(llama.tokenText(ids[0])).toBe(' the')
    const pieces = llama.pieces(ids)
    expect(pieces.map(piece => piece.text).join('')).toBe(' the 𠮷')
    expect(pieces.at(-1)).toEqual({ text: '𠮷', from: ids.length - 4, to: ids.length })
  })

  test('the vocabulary, its document token and its special tokens', () => {
    const eos = tokenizer.encodeIds('</s>')[0]
    expect(tokenizer.documentToken).toBe(eos)
    const special = ['<s>', '</s>', '<mark>'].map(token => tokenizer.encodeIds(token)[0])
    expect([...tokenizer.specialTokens].sort()).toEqual(special.sort())
    expect(openTokenizer({ dir: demoDir })).toMatchObject({ vocabSize: 8192, documentToken: 0 })
  })
})

// Tokenizer files that cannot be used are refused with the file and the field named; nothing is guessed.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { openTokenizer } from './tokenizer.ts'

const root = mkdtempSync(join(tmpdir(), 'tokenizer-'))
afterAll(() => rmSync(root, { recursive: true }))

const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, '</s>': 3 }, merges: [['a', 'b']] }
const minimal = { model, added_tokens: [{ id: 3, content: '</s>', special: true }] }
let folders = 0

/** A model's folder with these files; texts are written unchanged. */
function folder(files: { [name: string]: unknown }): string {
  const dir = mkdtempSync(join(root, `${folders++}-`))
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value))
  }
  return dir
}

function refusal(files: { [name: string]: unknown }): string {
  try {
    openTokenizer({ dir: folder({ 'config.json': { eos_token_id: 3 }, ...files }) })
  } catch (error) {
    expect(error).toBeInstanceOf(InputError)
    return error instanceof Error ? error.message : ''
  }
  throw new Error('accepted')
}

const bad = (changes: object) => refusal({ 'tokenizer.json': { ...minimal, ...changes } })

test('a folder that is not there, and one without tokenizer.json', () => {
  expect(() => openTokenizer({ dir: join(root, 'nowhere') })).toThrow(InputError)
  expect(refusal({})).toMatch(/no tokenizer.*tokenizer\.json/)
})

test('what is no JSON object', () => {
  expect(refusal({ 'tokenizer.json': '{"model":' })).toMatch(/not JSON.*tokenizer\.json/)
  expect(refusal({ 'tokenizer.json': '[]' })).toMatch(/an object/)
  expect(refusal({ 'tokenizer.json': {} })).toMatch(/field: model/)
})

test.each([
  ['model', { model: { ...model, type: 'WordPiece' } }, /model\.type.*WordPiece.*BPE, Unigram/],
  ['normalizer', { normalizer: { type: 'Precompiled' } }, /normalizer\.type.*Precompiled.*NFKC/],
  ['pre-tokenizer', { pre_tokenizer: { type: 'UnicodeScripts' } }, /pre_tokenizer\.type.*Metaspace/],
  ['decoder', { decoder: { type: 'WordPiece' } }, /decoder\.type.*ByteLevel/],
  [
    'type within a sequence',
    { normalizer: { type: 'Sequence', normalizers: [{ type: 'No' }] } },
    /normalizers\[0\]/,
  ],
  ['merge', { model: { ...model, merges: ['a c'] } }, /model\.merges\[0\].*a c/],
  ['merge of another kind', { model: { ...model, merges: [7] } }, /model\.merges\[0\]/],
  ['id', { model: { ...model, vocab: { a: -1 }, merges: [] } }, /model\.vocab\.a.*-1/],
  ['id beyond reason', { model: { ...model, vocab: { a: 1e12 }, merges: [] } }, /model\.vocab\.a/],
  ['dropout', { model: { ...model, dropout: 0.1 } }, /model\.dropout/],
  [
    'pattern',
    { normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } },
    /normalizer\.pattern/,
  ],
  [
    'kind of pattern',
    { normalizer: { type: 'Replace', pattern: { Glob: '*' }, content: '' } },
    /String or Regex/,
  ],
  [
    'behavior',
    { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Maybe' } },
    /behavior.*Isolated/,
  ],
  ['added token', { added_tokens: [{ id: 0 }] }, /added_tokens\[0\]\.content/],
  ['score', { model: { type: 'Unigram', vocab: [['a', 'b']], unk_id: 0 } }, /model\.vocab\[0\]/],
  ['unknown id', { model: { type: 'Unigram', vocab: [['a', -1]], unk_id: 4 } }, /model\.unk_id.*4/],
  ['empty vocabulary', { model: { ...model, vocab: {}, merges: [] }, added_tokens: [] }, /empty vocabulary/],
])('a %s that cannot be used', (_name, changes, message) => {
  expect(bad(changes)).toMatch(message)
})

test('a pre-tokenizer after the byte level', () => {
  const pretokenizers = [{ type: 'ByteLevel' }, { type: 'Digits' }]
  expect(bad({ pre_tokenizer: { type: 'Sequence', pretokenizers } })).toMatch(/ByteLevel, Digits/)
})

describe('the document token', () => {
  const open = (files: { [name: string]: unknown }) =>
    openTokenizer({ dir: folder({ 'tokenizer.json': minimal, ...files }) })

  test('eos before bos; config.json before generation_config.json before tokenizer_config.json', () => {
    expect(open({ 'config.json': { bos_token_id: 1, eos_token_id: 2 } }).documentToken).toBe(2)
    expect(open({ 'config.json': { bos_token_id: 1, eos_token_id: null } }).documentToken).toBe(1)
    const generation = { 'generation_config.json': { eos_token_id: [2, 1] } }
    expect(open({ 'config.json': { bos_token_id: 0 }, ...generation }).documentToken).toBe(2)
    expect(open({ 'config.json': { eos_token_id: 0 }, ...generation }).documentToken).toBe(0)
    expect(open({ 'tokenizer_config.json': { eos_token: { content: '</s>' } } }).documentToken).toBe(3)
  })

  test('every eos and bos is special', () => {
    const { specialTokens } = open({ 'config.json': { bos_token_id: 0, eos_token_id: [1, 2] } })
    expect([...specialTokens].sort()).toEqual([0, 1, 2, 3])
  })

  test('none, one beyond the vocabulary, one that the tokenizer does not have', () => {
    const files = { 'tokenizer.json': minimal }
    expect(refusal({ ...files, 'config.json': {} })).toMatch(/eos_token_id/)
    expect(refusal({ ...files, 'config.json': { eos_token_id: 4 } })).toMatch(
      /beyond the vocabulary.*eos_token_id.*4/,
    )
    const named = { 'tokenizer_config.json': { eos_token: '<end>' } }
    expect(refusal({ ...files, 'config.json': {}, ...named })).toMatch(/<end>, not in the vocabulary/)
    expect(open({ 'config.json': { eos_token_id: 1 }, ...named }).documentToken).toBe(1)
  })
})

test('a file too large to be one is not read', () => {
  const dir = folder({ 'tokenizer.json': '{}', 'config.json': { eos_token_id: 3 } })
  truncateSync(join(dir, 'tokenizer.json'), 2 ** 28 + 1)
  expect(() => openTokenizer({ dir })).toThrow(
    /too large.*found: 268435457 bytes; expected: at most 268435456/,
  )
})

test('ids beyond the vocabulary are refused in every direction', () => {
  const tokenizer = openTokenizer({
    dir: folder({ 'tokenizer.json': minimal, 'config.json': { eos_token_id: 3 } }),
  })
  for (const id of [4, -1, 0.5, Number.NaN]) {
    expect(() => tokenizer.decode([id])).toThrow(InputError)
    expect(() => tokenizer.tokenText(id)).toThrow(InputError)
    expect(() => tokenizer.pieces([id])).toThrow(InputError)
  }
})

test('a character outside a Unigram vocabulary without an unknown token', () => {
  const unigram = { model: { type: 'Unigram', vocab: [['a', -1]] }, added_tokens: [] }
  const dir = folder({ 'tokenizer.json': unigram, 'config.json': { eos_token_id: 0 } })
  expect(() => openTokenizer({ dir }).encode('ab')).toThrow(/unk_id.*"b"/)
})

test('random damage of a tokenizer.json is refused or read, never a crash', () => {
  const source = join(import.meta.dirname, '../fixtures/llama2/tokenizer.json')
  const bytes = readFileSync(source)
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(damage, changes => {
      const copy = Uint8Array.from(bytes)
      for (const [place, value] of changes) copy[place] = value
      const dir = folder({ 'config.json': { eos_token_id: 1 } })
      writeFileSync(join(dir, 'tokenizer.json'), copy)
      try {
        openTokenizer({ dir }).encode('the word 𠮷')
      } catch (error) {
        if (!(error instanceof InputError)) throw error
      }
    }),
  )
})

import type { InputError } from '@mistudio/files'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inputError, jsonl, useFolder } from '../testing/corpus_support.ts'
import { sourceOf } from './document_sources.ts'
import { type ReadTextOptions, readText } from './read_text.ts'
import type { TextDocument } from './sources/document_source.ts'

const folder = useFolder()

async function read(file: string, rest: Omit<ReadTextOptions, 'file'> = {}): Promise<TextDocument[]> {
  const documents: TextDocument[] = []
  for await (const document of readText({ file, ...rest })) documents.push(document)
  return documents
}

const texts = async (file: string, rest: Omit<ReadTextOptions, 'file'> = {}) =>
  (await read(file, rest)).map(({ text }) => text)

test('jsonl: a document a line, with its zero-based row; blank lines are passed over and counted as rows', async () => {
  const file = folder.write('a.jsonl', '{"text": "one"}\n\n  \n{"text": "two", "more": 1}\n{"text": ""}')
  expect(await read(file)).toEqual([
    { text: 'one', sourceFile: file, sourceRow: 0 },
    { text: 'two', sourceFile: file, sourceRow: 3 },
    { text: '', sourceFile: file, sourceRow: 4 },
  ])
})

test('txt: the file is one document, newlines and all; an empty file has none', async () => {
  const file = folder.write('a.TXT', 'one\ntwo\r\nthree\n')
  expect(await read(file)).toEqual([{ text: 'one\ntwo\nthree\n', sourceFile: file, sourceRow: 0 }])
  expect(await texts(folder.write('b.txt', ''))).toEqual([])
})

test('a byte order mark is dropped at the start only, CRLF ends a line', async () => {
  expect(await texts(folder.write('a.jsonl', '\ufeff{"text": "one"}\r\n{"text": "\ufefftwo"}\r\n'))).toEqual([
    'one',
    '\ufefftwo',
  ])
  expect(await texts(folder.write('a.txt', '\ufeffone'))).toEqual(['one'])
  const second = folder.write('b.jsonl', '{"text": "one"}\n\ufeff{"text": "two"}\n')
  expect((await inputError(() => read(second))).details.line).toBe(2)
})

test('bytes from elsewhere read as the file they are named for, wherever they are cut', async () => {
  const bytes = Buffer.from('\ufeff{"text": "é1"}\n\nnot json\n{"text": "two"}')
  const file = folder.write('a.jsonl', bytes)
  async function* source() {
    for (const byte of bytes) yield Uint8Array.of(byte)
  }
  const wanted = await read(file, { skipBadLines: true })
  expect(wanted.map(({ text }) => text)).toEqual(['é1', 'two'])
  expect(await read(file, { source: source(), skipBadLines: true })).toEqual(wanted)
  const named = await inputError(() => read('nowhere.jsonl', { source: source() }))
  expect(named.details).toMatchObject({ file: 'nowhere.jsonl', line: 3 })
  expect((await inputError(() => read('a.csv', { source: source() }))).details.found).toBe('.csv')
})

test('another field is read when asked for; inherited names are not fields', async () => {
  const file = folder.write('a.jsonl', jsonl(['one'], 'content'))
  expect(await texts(file, { textField: 'content' })).toEqual(['one'])
  expect((await inputError(() => read(file, { textField: 'toString' }))).details.field).toBe('toString')
})

test.each([
  ['not JSON', '{"text": "two"', 'not JSON'],
  ['no field', '{"txt": "two"}', 'lacks the text field'],
  ['a number', '{"text": 2}', 'not a string'],
  ['null', '{"text": null}', 'not a string'],
  ['a list', '["text"]', 'lacks the text field'],
  ['a bare string', '"text"', 'lacks the text field'],
])(
  'a bad line (%s) is named with its file, line and field, or passed over and told',
  async (_, line, message) => {
    const file = folder.write('a.jsonl', `{"text": "one"}\n${line}\n{"text": "three"}\n`)
    const { details } = await inputError(() => read(file))
    expect(details).toMatchObject({ file, line: 2, field: 'text' })
    expect(details.message).toContain(message)
    const bad: InputError[] = []
    expect(await texts(file, { skipBadLines: true, onBadLine: error => bad.push(error) })).toEqual([
      'one',
      'three',
    ])
    expect(bad.map(error => error.details.line)).toEqual([2])
  },
)

test('bytes that are not UTF-8 are named by their line', async () => {
  const latin = (text: string) => Buffer.from(text, 'latin1')
  const lines = folder.write('a.jsonl', latin('{"text": "one"}\n{"text": "caf\xe9"}\n{"text": "three"}\n'))
  expect((await inputError(() => read(lines))).details).toMatchObject({ file: lines, line: 2 })
  expect(await texts(lines, { skipBadLines: true })).toEqual(['one', 'three'])
  const plain = folder.write('a.txt', latin('one\ntwo\nth\xffree\nfour'))
  expect((await inputError(() => read(plain, { skipBadLines: true }))).details).toMatchObject({
    file: plain,
    line: 3,
  })
  const wide = folder.write('b.txt', Buffer.from('\ufeffone', 'utf16le'))
  expect((await inputError(() => read(wide))).details.line).toBe(1)
})

test('a document beyond the bound is refused without being held, or passed over', async () => {
  const long = 'x'.repeat(600_000)
  const file = folder.write('a.jsonl', jsonl(['one', long, 'three']))
  expect((await inputError(() => read(file, { maxLineBytes: 500_000 }))).details.line).toBe(2)
  const bad: InputError[] = []
  const rest = {
    maxLineBytes: 500_000,
    skipBadLines: true,
    onBadLine: (error: InputError) => bad.push(error),
  }
  expect(await texts(file, rest)).toEqual(['one', 'three'])
  expect(bad).toHaveLength(1)
  expect(await texts(file, { maxLineBytes: 700_000 })).toEqual(['one', long, 'three'])
  const plain = folder.write('a.txt', 'line\n'.repeat(200))
  expect((await inputError(() => read(plain, { maxLineBytes: 999 }))).details.expected).toContain('999 bytes')
  expect(await texts(plain, { maxLineBytes: 1000 })).toHaveLength(1)
})

test('the bound stops the reading: the bytes after it are not asked for', async () => {
  const file = folder.write('a.jsonl', 'x'.repeat(20_000_000))
  let seen = 0
  await inputError(() => read(file, { maxLineBytes: 1000, onBytes: bytes => (seen += bytes.length) }))
  expect(seen).toBeLessThan(1_000_000)
})

test('lone surrogates from escapes become U+FFFD', async () => {
  expect(await texts(folder.write('a.jsonl', '{"text": "a\\ud800b"}\n'))).toEqual(['a\ufffdb'])
})

test('other extensions, missing files and folders are refused', async () => {
  expect((await inputError(() => read(folder.write('a.csv', 'x')))).details.found).toBe('.csv')
  expect((await inputError(() => read(folder.path('b.jsonl')))).details).toMatchObject({ found: 'nothing' })
  expect((await inputError(() => read(folder.path('.')))).details.expected).toBe('.jsonl or .txt')
})

test('any texts come back as they were, and every byte is seen once', async () => {
  const anyText = fc.string({ unit: 'grapheme', maxLength: 200 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyText, { maxLength: 30 }),
      fc.constantFrom('\n', '\r\n'),
      async (given, ending) => {
        const body = given.map(text => JSON.stringify({ text })).join(ending)
        const file = folder.write('a.jsonl', body)
        const seen: Uint8Array[] = []
        expect(await texts(file, { onBytes: bytes => seen.push(Uint8Array.from(bytes)) })).toEqual(given)
        expect(Buffer.concat(seen).toString()).toBe(body)
      },
    ),
    { numRuns: 50 },
  )
})

test('lines longer than one read of the file are put together', async () => {
  const given = [300_000, 1, 262_144, 700_000, 0, 262_143].map((n, i) => `${i}é`.repeat(n))
  expect(await texts(folder.write('a.jsonl', jsonl(given)))).toEqual(given)
})

test('a file whose name has no extension is refused in words', () => {
  expect(() => sourceOf('notes')).toThrow(/found: a name without extension; expected: \.jsonl or \.txt/)
})

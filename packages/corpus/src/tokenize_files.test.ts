// Making a store: what it reports, what it refuses, and what remains of an earlier one.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  byteTokenizer,
  inputError,
  jsonl,
  makeStore,
  someTexts,
  useFolder,
} from '../testing/corpus_support.ts'
import { openTokenStore } from './token_store.ts'
import { type TokenizeOptions, type TokenizeProgress, tokenizeFiles } from './tokenize_files.ts'

const folder = useFolder()
const tokenizer = byteTokenizer()

test('store.json tells what was read: files, sums, lengths, lines passed over', async () => {
  const texts = ['a', 'bc', 'def', 'ghij', 'k'.repeat(64), 'l'.repeat(127), '']
  const body = jsonl(texts) + 'no json\n{"txt": 1}\n'
  const file = folder.write('a.jsonl', body)
  const opened = await makeStore(folder, [], { files: [file], skipBadLines: true, heldOutFraction: 0 })
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
  const { info } = await makeStore(folder, [], { files, onProgress: progress => seen.push(progress) })
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
  const first = await makeStore(folder, someTexts(100))
  const bytes = read(first.dir)
  first.close()
  await makeStore(folder, someTexts(50, 3))
  expect(read(first.dir)).not.toEqual(bytes)
  await makeStore(folder, someTexts(100))
  expect(read(first.dir)).toEqual(bytes)
})

test('a failure leaves the earlier store as it was, and nothing beside it', async () => {
  const first = await makeStore(folder, someTexts(100))
  const before = readFileSync(join(first.dir, 'train.tokens.bin'))
  const broken = folder.write('b.jsonl', jsonl(someTexts(100, 3)) + '{')
  const error = await inputError(() => makeStore(folder, [], { files: [broken] }))
  expect(error.details).toMatchObject({ file: broken, line: 101, field: 'text' })
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const onProgress = () => {
    throw full
  }
  const cut = await inputError(() => makeStore(folder, someTexts(40), { onProgress }))
  expect(cut.details).toMatchObject({ message: 'the disk is full', file: folder.path('store') })
  expect(readFileSync(join(first.dir, 'train.tokens.bin'))).toEqual(before)
  expect(readdirSync(folder.path('.')).sort()).toEqual(['a.jsonl', 'b.jsonl', 'store'])
})

test('a crash between the two renames is mended when the store is opened', async () => {
  const first = await makeStore(folder, someTexts(100))
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
    const { details } = await inputError(() =>
      makeStore(folder, [], { files, skipBadLines: true, heldOutFraction: 0 }),
    )
    expect(details.found).toContain(found)
    expect(details.expected).toContain('one context of 16 tokens')
    expect(existsSync(folder.path('store'))).toBe(false)
  }
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
    [{ out: file }, 'the output path is already taken'],
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
  const opened = await makeStore(folder, someTexts(20), { out: folder.path('mine') })
  renameSync(join(opened.dir, 'store.json'), join(opened.dir, 'letter.txt'))
  const error = await inputError(() => makeStore(folder, someTexts(20), { out: folder.path('mine') }))
  expect(error.message).toContain('the output path is already taken')
  expect(existsSync(folder.path('mine/letter.txt'))).toBe(true)
})

// What the tests of the corpus share: a folder that goes away, and tokenizers small enough to see through.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { afterEach, beforeEach } from 'vitest'
import type { TextTokenizer } from '../src/text_tokenizer.ts'
import { openTokenStore, type TokenSplit, type TokenStore } from '../src/token_store.ts'
import { type TokenizeOptions, tokenizeFiles } from '../src/tokenize_files.ts'

export type TestFolder = {
  path(name: string): string
  /** Gives the path. */
  write(name: string, data: string | Uint8Array): string
}

/** Registers a fresh folder for every test of the file; `path` names things in it. */
export function useFolder(): TestFolder {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mistudio-corpus-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const path = (name: string) => join(folder, name)
  const write = (name: string, data: string | Uint8Array) => {
    writeFileSync(path(name), data)
    return path(name)
  }
  return { path, write }
}

/** UTF-8 bytes as ids, shifted by `shift`; the last id of the vocabulary separates documents. */
export function byteTokenizer(options: { vocabSize?: number; shift?: number } = {}): TextTokenizer {
  const { vocabSize = 257, shift = 0 } = options
  return {
    vocabSize,
    documentToken: vocabSize - 1,
    specialTokens: new Set([vocabSize - 1]),
    encodeIds: text => Array.from(Buffer.from(text, 'utf8'), byte => byte + shift),
  }
}

export const jsonl = (texts: string[], field = 'text'): string =>
  texts.map(text => JSON.stringify({ [field]: text }) + '\n').join('')

/** The InputError that `action` must end with. */
export async function inputError(action: () => unknown): Promise<InputError> {
  try {
    await action()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
  throw new Error('nothing was thrown where an InputError must be')
}

const words = 'In the beginning was the word and the rest is noise '.split(' ')

/** Different texts of 1 to 23 words. */
export const someTexts = (count: number, seed = 0): string[] =>
  Array.from({ length: count }, (_, i) =>
    Array.from(
      { length: 1 + ((i * 7 + seed) % 23) },
      (_, j) => words[(i + j * 3 + seed) % words.length] + i,
    ).join(' '),
  )

/** Makes and opens a store of texts (or `files`), bytes as tokens, contexts of 16, in the folder's `store`. */
export async function makeStore(
  folder: TestFolder,
  texts: string[],
  rest: Partial<TokenizeOptions> = {},
): Promise<TokenStore> {
  const out = rest.out ?? folder.path('store')
  const files = rest.files ?? [folder.write('a.jsonl', jsonl(texts))]
  await tokenizeFiles({ files, tokenizer: byteTokenizer(), contextSize: 16, out, ...rest })
  return openTokenStore({ dir: out })
}

/** All whole contexts of a split, one after another. */
export function stream(split: TokenSplit, contextSize: number): { ids: number[]; mask: number[] } {
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

// What the tests of the corpus share: a folder that goes away, and tokenizers small enough to see through.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError } from '@mistudio/tensor'
import { afterEach, beforeEach } from 'vitest'
import type { TextTokenizer } from './text_tokenizer.ts'

/** Registers a fresh folder for every test of the file; `path` names things in it. */
export function useFolder(): {
  path(name: string): string
  write(name: string, data: string | Uint8Array): string
} {
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

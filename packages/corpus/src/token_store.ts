// Reading a token store. Only one number per 1,024 documents is held in memory: a context is one positional read,
// served by the system's page cache. The files are untrusted until checked: sizes and the document table when the
// store is opened, token ids when they are read.
import { closeSync, existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { InputError, openRegularFile, readExactly, recoverDirectory } from '@mistudio/files'
import { type DocumentTable, openDocumentTable } from './document_table.ts'
import {
  readStoreInfo,
  type SplitName,
  splitNames,
  type TokenStoreInfo,
  tokenBytes,
  tokensFile,
} from './store_format.ts'
import { type TextTokenizer, tokenizerFingerprint } from './text_tokenizer.ts'

export type TokenStore = {
  dir: string
  /** The folder's own name. */
  name: string
  info: TokenStoreInfo
  contextSize: number
  vocabSize: number
  /** @throws InputError for a split without one whole context; its figures are in `info.splits`. */
  split(name: SplitName): TokenSplit
  close(): void
}

/** A document's part of a context: positions [start, end), including its document token if that is in the context. */
export type DocumentSpan = {
  start: number
  end: number
  /** Its index within the split. */
  document: number
  sourceFile: string
  /** Zero-based line of a .jsonl file; 0 for .txt. */
  sourceRow: number
}

export type TokenSplit = {
  /** The file with its tokens, for messages. */
  path?: string
  tokens: number
  contexts: number
  documents: number
  /**
   * Reads context `index` into ids [contextSize] and mask [contextSize]. A position is usable if its mask is 1: not
   * position 0 of a context, which sees nothing before it, and not special tokens.
   * @throws InputError for a token id beyond the vocabulary; RangeError for a wrong index or length
   */
  readContext(index: number, ids: Int32Array, mask: Uint8Array): void
  /** The documents of a context in order; they cover it without a gap. */
  documentsOf(index: number): DocumentSpan[]
}

/**
 * Opens and checks a store made by `tokenizeFiles`.
 * @throws InputError naming file, field, found and expected.
 * @example
 * const store = openTokenStore({ dir: 'data/text' })
 * const [ids, mask] = [new Int32Array(store.contextSize), new Uint8Array(store.contextSize)]
 * store.split('train').readContext(0, ids, mask)
 * store.close()
 */
export function openTokenStore(options: { dir: string }): TokenStore {
  const { dir } = options
  if (!existsSync(dir)) recoverDirectory(dir)
  const info = readStoreInfo(dir)
  const closers: (() => void)[] = []
  const close = () => {
    for (const closer of closers.splice(0)) closer()
  }
  const openFile = (path: string): number => {
    const file = openRegularFile(path)
    closers.push(() => closeSync(file))
    return file
  }
  try {
    const [train, heldOut] = splitNames.map(name => openSplit({ dir, info, name, openFile }))
    const split = (name: SplitName): TokenSplit => {
      const chosen = name === 'train' ? train : heldOut
      if (chosen.contexts > 0) return chosen
      const { documents, droppedTokens } = info.splits[name]
      throw new InputError({
        message: `the split '${name}' is empty`,
        file: dir,
        found: `${documents} documents with ${droppedTokens} tokens in total`,
        expected: `at least one whole context of ${info.contextSize} tokens`,
      })
    }
    const { contextSize, vocabSize } = info
    return { dir, name: basename(resolve(dir)), info, contextSize, vocabSize, split, close }
  } catch (error) {
    close()
    throw error
  }
}

/** @throws InputError if the store was made with a tokenizer that behaves differently */
export function checkTokenizer(options: { store: TokenStore; tokenizer: TextTokenizer }): void {
  const { store, tokenizer } = options
  const found = store.info.tokenizerFingerprint
  const expected = tokenizerFingerprint(tokenizer)
  if (found === expected) return
  throw new InputError({
    message: 'the token store was made with another tokenizer; tokenize its files again',
    file: join(store.dir, 'store.json'),
    field: 'tokenizer_fingerprint',
    found,
    expected,
  })
}

function openSplit(options: {
  dir: string
  info: TokenStoreInfo
  name: SplitName
  openFile(path: string): number
}): TokenSplit {
  const { dir, info, name, openFile } = options
  const { contextSize, vocabSize } = info
  const { tokens, contexts, documents } = info.splits[name]
  const path = join(dir, tokensFile(name))
  const file = openFile(path)
  const table: DocumentTable = openDocumentTable({ dir, info, split: name, openFile })
  const width = tokenBytes(vocabSize)
  const stored = width === 2 ? new Uint16Array(contextSize) : new Uint32Array(contextSize)
  const bytes = new Uint8Array(stored.buffer)
  const special = new Set(info.specialTokens)
  const checkIndex = (index: number) => {
    if (Number.isSafeInteger(index) && index >= 0 && index < contexts) return
    throw new RangeError(`context ${index} of ${contexts}`)
  }
  const readContext = (index: number, ids: Int32Array, mask: Uint8Array) => {
    checkIndex(index)
    if (ids.length !== contextSize || mask.length !== contextSize) {
      throw new RangeError(
        `room for ${ids.length} ids and ${mask.length} mask entries: expected ${contextSize}`,
      )
    }
    readExactly({ file, path, bytes, position: index * contextSize * width })
    for (let i = 0; i < contextSize; i++) {
      const id = stored[i]
      if (id >= vocabSize) {
        const field = `token ${index * contextSize + i}`
        const message = 'a token id beyond the vocabulary'
        throw new InputError({ message, file: path, field, found: `${id}`, expected: `under ${vocabSize}` })
      }
      ids[i] = id
      mask[i] = special.has(id) ? 0 : 1
    }
    mask[0] = 0
  }
  const documentsOf = (index: number): DocumentSpan[] => {
    checkIndex(index)
    const first = index * contextSize
    const rows = table.overlapping(first, first + contextSize)
    return rows.map(({ document, start, file, row }, i) => ({
      start: Math.max(0, start - first),
      end: i + 1 < rows.length ? rows[i + 1].start - first : contextSize,
      document,
      sourceFile: info.files[file].path,
      sourceRow: row,
    }))
  }
  return { path, tokens, contexts, documents, readContext, documentsOf }
}

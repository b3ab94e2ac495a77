// What a token store's folder holds, and store.json, read as untrusted: every figure the readers rely on is checked
// here once.
//
//   store.json               this record, snake_case
//   SPLIT.tokens.bin         whole contexts of token ids, uint16 if the vocabulary fits, else uint32
//   SPLIT.documents.bin      a row per document: start token (uint64), source file (uint32), source row (uint32)
//
// SPLIT is train or held_out; all numbers little-endian. A split is one stream of `document token, the document's
// tokens` cut into contexts without padding; trailing tokens that do not fill a context are dropped and counted.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, isObject } from '@mistudio/files'

const formatName = 'mistudio token store'
const formatVersion = 1
export const documentRowBytes = 16

const maxStoreJsonBytes = 16 * 1024 * 1024
export const maxContextSize = 1 << 20
const maxVocabSize = 2 ** 31 - 1

export type SplitName = 'train' | 'held_out'
export const splitNames: readonly SplitName[] = ['train', 'held_out']

export type SplitInfo = {
  documents: number
  /** contexts × contextSize: what can be read, document tokens included. */
  tokens: number
  contexts: number
  /** The tail that did not fill a context; less than contextSize. */
  droppedTokens: number
  /** Bin i counts the documents of 2^i up to 2^(i+1) − 1 tokens, not counting their document token. */
  lengthHistogram: number[]
}

export type TokenStoreInfo = {
  /** See `tokenizerFingerprint`. */
  tokenizerFingerprint: string
  /** Paths as they were given; SHA-256 in hex. */
  files: { path: string; bytes: number; sha256: string }[]
  contextSize: number
  vocabSize: number
  documentToken: number
  /** Ascending, including the document token: masked wherever they occur. */
  specialTokens: number[]
  textField: string
  heldOutFraction: number
  /** Lines skipped because they could not be used. */
  badLines: number
  /** Documents without a token, skipped. */
  emptyDocuments: number
  splits: Record<SplitName, SplitInfo>
}

/** Bytes of a token id on disk. */
export const tokenBytes = (vocabSize: number): 2 | 4 => (vocabSize <= 65_536 ? 2 : 4)

export const tokensFile = (split: SplitName): string => `${split}.tokens.bin`
export const documentsFile = (split: SplitName): string => `${split}.documents.bin`

export function encodeStoreInfo(info: TokenStoreInfo): string {
  const splitOf = (split: SplitInfo) => ({
    documents: split.documents,
    tokens: split.tokens,
    contexts: split.contexts,
    dropped_tokens: split.droppedTokens,
    length_histogram: split.lengthHistogram,
  })
  const record = {
    format: formatName,
    format_version: formatVersion,
    tokenizer_fingerprint: info.tokenizerFingerprint,
    context_size: info.contextSize,
    vocab_size: info.vocabSize,
    document_token: info.documentToken,
    special_tokens: info.specialTokens,
    text_field: info.textField,
    held_out_fraction: info.heldOutFraction,
    bad_lines: info.badLines,
    empty_documents: info.emptyDocuments,
    files: info.files,
    splits: { train: splitOf(info.splits.train), held_out: splitOf(info.splits.held_out) },
  }
  return JSON.stringify(record, null, 2) + '\n'
}

/** Reads and checks store.json and the sizes of the files next to it. @throws InputError naming file and field */
export function readStoreInfo(dir: string): TokenStoreInfo {
  const file = join(dir, 'store.json')
  const bytes = statSync(file, { throwIfNoEntry: false })?.size
  if (bytes === undefined) {
    throw new InputError({ message: 'not a token store', file, found: 'nothing', expected: 'store.json' })
  }
  if (bytes > maxStoreJsonBytes) {
    throw new InputError({
      message: 'store.json is too long',
      file,
      found: `${bytes}`,
      expected: `${maxStoreJsonBytes}`,
    })
  }
  let record: unknown
  try {
    record = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({ message: 'store.json is not JSON', file, found: String(error) })
  }
  const info = decodeStoreInfo(record, file)
  for (const split of splitNames) {
    const { tokens, documents } = info.splits[split]
    checkSize(join(dir, tokensFile(split)), tokens * tokenBytes(info.vocabSize))
    checkSize(join(dir, documentsFile(split)), documents * documentRowBytes)
  }
  return info
}

function checkSize(file: string, expected: number): void {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found?.isFile() && found.size === expected) return
  const what = found === undefined ? 'nothing' : `${found.size} bytes`
  throw new InputError({
    message: 'store.json does not match',
    file,
    found: what,
    expected: `${expected} bytes`,
  })
}

function decodeStoreInfo(record: unknown, file: string): TokenStoreInfo {
  const fail = (field: string, value: unknown, expected: string): never => {
    throw new InputError({ message: 'bad token store', file, field, found: JSON.stringify(value), expected })
  }
  const object = (field: string, value: unknown): Record<string, unknown> =>
    isObject(value) ? value : fail(field, value, 'an object')
  const root = object('store.json', record)
  const text = (from: Record<string, unknown>, field: string): string => {
    const value = from[field]
    return typeof value === 'string' ? value : fail(field, value, 'a string')
  }
  const count = (from: Record<string, unknown>, field: string, least: number, most: number): number => {
    const value = from[field]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most)
      return value
    return fail(field, value, `a whole number from ${least} to ${most}`)
  }
  const list = (from: Record<string, unknown>, field: string): unknown[] => {
    const value = from[field]
    return Array.isArray(value) ? value : fail(field, value, 'a list')
  }
  const most = Number.MAX_SAFE_INTEGER
  if (root.format !== formatName) fail('format', root.format, formatName)
  if (root.format_version !== formatVersion) fail('format_version', root.format_version, `${formatVersion}`)
  const contextSize = count(root, 'context_size', 2, maxContextSize)
  const vocabSize = count(root, 'vocab_size', 1, maxVocabSize)
  const documentToken = count(root, 'document_token', 0, vocabSize - 1)
  const specialTokens = list(root, 'special_tokens').map((id, i) => {
    if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 && id < vocabSize) return id
    return fail(`special_tokens[${i}]`, id, `a token id under ${vocabSize}`)
  })
  const heldOutFraction = root.held_out_fraction
  if (typeof heldOutFraction !== 'number' || !(heldOutFraction >= 0 && heldOutFraction < 1)) {
    return fail('held_out_fraction', heldOutFraction, 'a number from 0 up to but not 1')
  }
  const files = list(root, 'files').map((value, i) => {
    const entry = object(`files[${i}]`, value)
    return { path: text(entry, 'path'), bytes: count(entry, 'bytes', 0, most), sha256: text(entry, 'sha256') }
  })
  const splits = object('splits', root.splits)
  const splitOf = (name: SplitName): SplitInfo => {
    const split = object(`splits.${name}`, splits[name])
    const contexts = count(split, 'contexts', 0, Math.floor(most / 4 / contextSize))
    const tokens = count(split, 'tokens', 0, most)
    if (tokens !== contexts * contextSize) fail(`splits.${name}.tokens`, tokens, `${contexts * contextSize}`)
    const droppedTokens = count(split, 'dropped_tokens', 0, contextSize - 1)
    // Every document has its document token and at least one token more.
    const documents = count(
      split,
      'documents',
      tokens + droppedTokens > 0 ? 1 : 0,
      (tokens + droppedTokens) / 2,
    )
    const lengthHistogram = list(split, 'length_histogram').map((value, i) => {
      if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
      return fail(`splits.${name}.length_histogram[${i}]`, value, 'a count')
    })
    return { documents, tokens, contexts, droppedTokens, lengthHistogram }
  }
  return {
    tokenizerFingerprint: text(root, 'tokenizer_fingerprint'),
    files,
    contextSize,
    vocabSize,
    documentToken,
    specialTokens,
    textField: text(root, 'text_field'),
    heldOutFraction,
    badLines: count(root, 'bad_lines', 0, most),
    emptyDocuments: count(root, 'empty_documents', 0, most),
    splits: { train: splitOf('train'), held_out: splitOf('held_out') },
  }
}

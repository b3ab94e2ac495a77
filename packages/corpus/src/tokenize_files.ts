// Turns text files into a token store, in one pass and fixed memory: a document is tokenized, assigned to a split by the
// hash of its text and written; only one document and two write buffers are held.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { InputError, writeDirectoryAtomic } from '@mistudio/files'
import { checkTextFile } from './document_sources.ts'
import { isHeldOut } from './held_out.ts'
import { readText } from './read_text.ts'
import { openSplitWriter } from './split_writer.ts'
import { encodeStoreInfo, maxContextSize, type TokenStoreInfo } from './store_format.ts'
import { type TextTokenizer, tokenizerFingerprint } from './text_tokenizer.ts'

/** `documents` and `tokens` count both splits, including document tokens. */
export type TokenizeProgress = {
  file: string
  bytesDone: number
  bytesTotal: number
  documents: number
  tokens: number
}

export type TokenizeOptions = {
  /** Text files of any kind (document_sources.ts). */
  files: string[]
  tokenizer: TextTokenizer
  /** Tokens per context, 2 to 1,048,576. */
  contextSize: number
  /** The store's folder; an earlier store there is replaced once the new one is complete. */
  out: string
  /** 'text' by default. */
  textField?: string
  /** Off by default; skipped lines are counted in the result's `badLines`. */
  skipBadLines?: boolean
  /** Share of the documents held out, by the hash of their text; 0.1 by default. */
  heldOutFraction?: number
  /** Called for every 256 KiB read and once at the end. */
  onProgress?(progress: TokenizeProgress): void
}

/**
 * Makes a token store (its layout: store_format.ts).
 * @throws InputError for files that cannot be read as text, a folder that is no token store's, and a data set without
 *   one whole context for training. The folder is then as it was before.
 * @example
 * const tokenizer = openTokenizer({ dir: 'assets/demo/model' })
 * const files = ['assets/demo/datasets/scripture.jsonl']
 * const { splits } = await tokenizeFiles({ files, tokenizer, contextSize: 128, out: 'data/text' })
 * console.log(splits.train.tokens, splits.held_out.documents)
 */
export async function tokenizeFiles(options: TokenizeOptions): Promise<TokenStoreInfo> {
  checkOptions(options)
  let info: TokenStoreInfo | undefined
  await writeDirectoryAtomic({
    path: options.out,
    write: async folder => {
      info = await writeStore(folder, options)
    },
  })
  return info!
}

async function writeStore(folder: string, options: TokenizeOptions): Promise<TokenStoreInfo> {
  const { files, tokenizer, contextSize, textField = 'text', skipBadLines = false } = options
  const { heldOutFraction = 0.1, onProgress } = options
  const { vocabSize, documentToken } = tokenizer
  const train = openSplitWriter({ folder, split: 'train', vocabSize, contextSize })
  const heldOut = openSplitWriter({ folder, split: 'held_out', vocabSize, contextSize })
  const read: TokenStoreInfo['files'] = []
  const bytesTotal = files.reduce((sum, file) => sum + statSync(file).size, 0)
  let bytesDone = 0
  let badLines = 0
  let emptyDocuments = 0
  let splits: TokenStoreInfo['splits']
  const report = (file: string) => {
    const documents = train.documents() + heldOut.documents()
    onProgress?.({ file, bytesDone, bytesTotal, documents, tokens: train.tokens() + heldOut.tokens() })
  }
  try {
    for (const [fileIndex, file] of files.entries()) {
      const digest = createHash('sha256')
      let bytes = 0
      const onBytes = (chunk: Uint8Array) => {
        digest.update(chunk)
        bytes += chunk.length
        bytesDone += chunk.length
        report(file)
      }
      const onBadLine = () => void badLines++
      for await (const { text, sourceRow } of readText({
        file,
        textField,
        skipBadLines,
        onBadLine,
        onBytes,
      })) {
        const ids = tokenizer.encodeIds(text)
        if (ids.length === 0) {
          emptyDocuments++
          continue
        }
        const split = isHeldOut({ text, fraction: heldOutFraction }) ? heldOut : train
        checkIds(ids, vocabSize, file, sourceRow)
        split.add({ documentToken, ids, file: fileIndex, row: sourceRow })
      }
      read.push({ path: file, bytes, sha256: digest.digest('hex') })
    }
    report(files[files.length - 1])
    splits = { train: train.finish(), held_out: heldOut.finish() }
  } finally {
    train.close()
    heldOut.close()
  }
  if (splits.train.contexts === 0) {
    const { train: t, held_out: h } = splits
    throw new InputError({
      message: 'an empty dataset: no whole context to train on',
      file: files.join(', '),
      found:
        `${t.documents + h.documents} documents, ${t.droppedTokens} tokens for training, ` +
        `${h.tokens + h.droppedTokens} held out, ${badLines} bad lines skipped, ${emptyDocuments} empty documents`,
      expected: `at least one context of ${contextSize} tokens for training`,
    })
  }
  const info: TokenStoreInfo = {
    tokenizerFingerprint: tokenizerFingerprint(tokenizer),
    files: read,
    contextSize,
    vocabSize,
    documentToken,
    specialTokens: [...new Set([...tokenizer.specialTokens, documentToken])].sort((a, b) => a - b),
    textField,
    heldOutFraction,
    badLines,
    emptyDocuments,
    splits,
  }
  writeFileSync(join(folder, 'store.json'), encodeStoreInfo(info))
  return info
}

function checkIds(ids: ArrayLike<number>, vocabSize: number, file: string, row: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]
    if (Number.isSafeInteger(id) && id >= 0 && id < vocabSize) continue
    const message = 'the tokenizer gave an id beyond its vocabulary'
    throw new InputError({ message, file, line: row + 1, found: `${id}`, expected: `0 to ${vocabSize - 1}` })
  }
}

function checkOptions({ files, contextSize, out, heldOutFraction = 0.1 }: TokenizeOptions): void {
  if (files.length === 0)
    throw new InputError({ message: 'no text files given', field: 'files', found: 'none' })
  if (!Number.isSafeInteger(contextSize) || contextSize < 2 || contextSize > maxContextSize) {
    const expected = `a whole number from 2 to ${maxContextSize}`
    throw new InputError({
      message: 'bad context size',
      field: 'contextSize',
      found: `${contextSize}`,
      expected,
    })
  }
  if (!(heldOutFraction >= 0 && heldOutFraction < 1)) {
    const expected = 'a number from 0 up to but not 1'
    throw new InputError({
      message: 'bad held-out share',
      field: 'heldOutFraction',
      found: `${heldOutFraction}`,
      expected,
    })
  }
  for (const file of files) {
    checkTextFile(file)
    if (!resolve(file).startsWith(resolve(out) + sep)) continue
    throw new InputError({
      message: 'the store would replace its own source',
      file,
      expected: `a file outside ${out}`,
    })
  }
  // The whole folder is replaced, so it must not hold anything else.
  if (!existsSync(out) || existsSync(join(out, 'store.json'))) return
  if (statSync(out).isDirectory() && readdirSync(out).length === 0) return
  throw new InputError({
    message: 'the output path is already taken',
    file: out,
    expected: 'a new or empty folder, or a token store',
  })
}

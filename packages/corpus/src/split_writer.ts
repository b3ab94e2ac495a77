// Writes one split of a token store: two append-only files with fixed buffers.
import { closeSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { writeAll } from '@mistudio/files'
import {
  documentRowBytes,
  documentsFile,
  type SplitInfo,
  type SplitName,
  tokenBytes,
  tokensFile,
} from './store_format.ts'

const bufferBytes = 1 << 20

export type SplitWriter = {
  /** Adds a document of at least one token, ids below the vocabulary's size; `file` and `row` below 2^32. */
  add(document: { documentToken: number; ids: ArrayLike<number>; file: number; row: number }): void
  documents(): number
  /** All so far, including the tail that may be dropped. */
  tokens(): number
  /** Flushes and drops the tail that does not fill a context. */
  finish(): SplitInfo
  close(): void
}

export function openSplitWriter(options: {
  folder: string
  split: SplitName
  vocabSize: number
  contextSize: number
}): SplitWriter {
  const { folder, split, vocabSize, contextSize } = options
  const width = tokenBytes(vocabSize)
  const tokenFile = openSync(join(folder, tokensFile(split)), 'w')
  const documentFile = openSync(join(folder, documentsFile(split)), 'w')
  const held = width === 2 ? new Uint16Array(bufferBytes / 2) : new Uint32Array(bufferBytes / 4)
  const rows = new DataView(new ArrayBuffer(bufferBytes))
  const lengthHistogram: number[] = []
  let tokensHeld = 0
  let rowBytesHeld = 0
  let tokens = 0
  let documents = 0
  const flushTokens = () => {
    writeAll(tokenFile, new Uint8Array(held.buffer, 0, tokensHeld * width))
    tokensHeld = 0
  }
  const flushRows = () => {
    writeAll(documentFile, new Uint8Array(rows.buffer, 0, rowBytesHeld))
    rowBytesHeld = 0
  }
  const token = (id: number) => {
    if (tokensHeld === held.length) flushTokens()
    held[tokensHeld++] = id
  }
  return {
    add: ({ documentToken, ids, file, row }) => {
      if (rowBytesHeld === bufferBytes) flushRows()
      rows.setBigUint64(rowBytesHeld, BigInt(tokens), true)
      rows.setUint32(rowBytesHeld + 8, file, true)
      rows.setUint32(rowBytesHeld + 12, row, true)
      rowBytesHeld += documentRowBytes
      documents++
      token(documentToken)
      for (let i = 0; i < ids.length; i++) token(ids[i])
      tokens += 1 + ids.length
      const bin = Math.floor(Math.log2(ids.length))
      while (lengthHistogram.length <= bin) lengthHistogram.push(0)
      lengthHistogram[bin]++
    },
    documents: () => documents,
    tokens: () => tokens,
    finish: () => {
      flushTokens()
      flushRows()
      const droppedTokens = tokens % contextSize
      const kept = tokens - droppedTokens
      ftruncateSync(tokenFile, kept * width)
      return { documents, tokens: kept, contexts: kept / contextSize, droppedTokens, lengthHistogram }
    },
    close: () => {
      closeSync(tokenFile)
      closeSync(documentFile)
    },
  }
}

// Which documents overlap a range of tokens. The table stays on disk; memory holds the start of every 1,024th row, found
// while checking the whole table on opening, and the block of rows read last.
import { join } from 'node:path'
import { InputError, readExactly } from '@mistudio/files'
import { documentRowBytes, documentsFile, type SplitName, type TokenStoreInfo } from './store_format.ts'

const blockRows = 1024

/** `start` counts the split's tokens; `file` indexes the store's files. */
type DocumentRow = { document: number; start: number; file: number; row: number }

export type DocumentTable = {
  /** The documents that have a token in [from, to), in order. */
  overlapping(from: number, to: number): DocumentRow[]
}

/** @throws InputError if the rows do not start at 0, do not ascend, or point past the tokens or the files */
export function openDocumentTable(options: {
  dir: string
  info: TokenStoreInfo
  split: SplitName
  openFile(path: string): number
}): DocumentTable {
  const { dir, info, split, openFile } = options
  const { documents, tokens, droppedTokens } = info.splits[split]
  const path = join(dir, documentsFile(split))
  const file = openFile(path)
  const rows = new DataView(new ArrayBuffer(blockRows * documentRowBytes))
  let loaded = -1
  const load = (block: number) => {
    if (block === loaded) return
    const count = Math.min(blockRows, documents - block * blockRows)
    const bytes = new Uint8Array(rows.buffer, 0, count * documentRowBytes)
    loaded = -1
    readExactly({ file, path, bytes, position: block * blockRows * documentRowBytes })
    loaded = block
  }
  const rowAt = (document: number): DocumentRow => {
    load(Math.floor(document / blockRows))
    const at = (document % blockRows) * documentRowBytes
    const start = Number(rows.getBigUint64(at, true))
    return { document, start, file: rows.getUint32(at + 8, true), row: rows.getUint32(at + 12, true) }
  }
  const fail = (document: number, field: string, found: number, expected: string) => {
    const message = 'bad document table'
    throw new InputError({
      message,
      file: path,
      field: `${field} of document ${document}`,
      found: `${found}`,
      expected,
    })
  }
  const blockStarts: number[] = []
  const end = tokens + droppedTokens
  let before = -2
  for (let document = 0; document < documents; document++) {
    const { start, file } = rowAt(document)
    if (document === 0 && start !== 0) fail(document, 'start', start, '0')
    // A document has its document token and at least one more.
    if (start < before + 2) fail(document, 'start', start, `at least ${before + 2}`)
    if (start > end - 2) fail(document, 'start', start, `at most ${end - 2}`)
    if (file >= info.files.length) fail(document, 'source file', file, `under ${info.files.length}`)
    if (document % blockRows === 0) blockStarts.push(start)
    before = start
  }
  const overlapping = (from: number, to: number): DocumentRow[] => {
    let low = 0
    let high = blockStarts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (blockStarts[middle] <= from) low = middle
      else high = middle
    }
    let first = low * blockRows
    let after = Math.min(documents, first + blockRows)
    while (after - first > 1) {
      const middle = (first + after) >> 1
      if (rowAt(middle).start <= from) first = middle
      else after = middle
    }
    const found: DocumentRow[] = []
    for (let document = first; document < documents; document++) {
      const row = rowAt(document)
      if (row.start >= to) break
      found.push(row)
    }
    return found
  }
  return { overlapping }
}

// Documents out of text files of any kind, read as a stream: a data set may be larger than the memory. Files are hostile
// until checked.
import { createReadStream } from 'node:fs'
import type { InputError } from '@mistudio/files'
import { checkTextFile, sourceOf } from './document_sources.ts'
import type { TextDocument } from './sources/document_source.ts'

/** A longer line (or .txt file) is refused: it would have to be held whole. */
export const defaultMaxLineBytes = 64 * 1024 * 1024

const readAtOnceBytes = 256 * 1024

export type ReadTextOptions = {
  /** Its ending says what it is: document_sources.ts. */
  file: string
  /** The file's bytes while they come from elsewhere, such as an upload: `file` is then only their name. */
  source?: AsyncIterable<Uint8Array>
  /** Which field keeps the text, where documents have fields; 'text' by default. */
  textField?: string
  /** Passes over lines that cannot be used, `onBadLine` being told of each; off by default. */
  skipBadLines?: boolean
  onBadLine?(error: InputError): void
  maxLineBytes?: number
  /** Sees every byte of the file once, in order: for checksums and progress. */
  onBytes?(bytes: Uint8Array): void
}

/**
 * Yields the file's documents in order. A byte order mark is dropped, and lone surrogates out of JSON escapes become
 * U+FFFD, so that every text has a UTF-8 form.
 * @throws InputError naming file, line and field
 * @example
 * for await (const { text } of readText({ file: 'notes.jsonl', textField: 'body' })) console.log(text.length)
 */
export async function* readText(options: ReadTextOptions): AsyncGenerator<TextDocument> {
  const { file, textField = 'text', skipBadLines = false, onBadLine } = options
  const { maxLineBytes: maxDocumentBytes = defaultMaxLineBytes, onBytes } = options
  const format = options.source === undefined ? checkTextFile(file) : sourceOf(file)
  const source = options.source ?? createReadStream(file, { highWaterMark: readAtOnceBytes })
  const bytes = onBytes === undefined ? source : watched(source, onBytes)
  const onBad = skipBadLines ? (error: InputError) => onBadLine?.(error) : undefined
  yield* format.read({ file, bytes, textField, maxDocumentBytes, onBad })
}

async function* watched(source: AsyncIterable<Uint8Array>, onBytes: (bytes: Uint8Array) => void) {
  for await (const bytes of source) {
    onBytes(bytes)
    yield bytes
  }
}

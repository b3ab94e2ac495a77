// Reads documents from text files of any kind as a stream: a dataset may be larger than memory. Files are untrusted
// until checked.
import { createReadStream } from 'node:fs'
import type { InputError } from '@mistudio/files'
import { checkTextFile, sourceOf } from './document_sources.ts'
import type { TextDocument } from './sources/document_source.ts'

/** A longer line (or .txt file) is rejected: it would have to be held whole. */
export const defaultMaxLineBytes = 64 * 1024 * 1024

const readAtOnceBytes = 256 * 1024

export type ReadTextOptions = {
  /** Its extension decides its kind: document_sources.ts. */
  file: string
  /** The file's bytes if they come from elsewhere, such as an upload; `file` is then only a name. */
  source?: AsyncIterable<Uint8Array>
  /** Which field has the text, if documents have fields; 'text' by default. */
  textField?: string
  /** Skips unusable lines, calling `onBadLine` for each; off by default. */
  skipBadLines?: boolean
  onBadLine?(error: InputError): void
  maxLineBytes?: number
  /** Sees every byte of the file once, in order: for checksums and progress. */
  onBytes?(bytes: Uint8Array): void
}

/**
 * Yields the file's documents in order. A byte order mark is dropped, and lone surrogates from JSON escapes become
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

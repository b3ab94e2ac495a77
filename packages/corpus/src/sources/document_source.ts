// The interface of a kind of text file: a name, its extensions, and a way to read its documents
// as a stream. Sources are listed in document_sources.ts; each is a file here.
import type { InputError } from '@mistudio/files'

/** `sourceRow`: where in its file a document comes from, counted from 0; the source defines what a row is. */
export type TextDocument = { text: string; sourceFile: string; sourceRow: number }

export type DocumentRequest = {
  /** Names the file in documents and errors. */
  file: string
  bytes: AsyncIterable<Uint8Array>
  /** Which field has the text, if documents have fields. */
  textField: string
  /** The most bytes of one document. */
  maxDocumentBytes: number
  /**
   * Called for an unusable document, which is then skipped. Absent: the first one ends the reading with its
   * error. Sources of one document have none to skip.
   */
  onBad?(error: InputError): void
}

export type DocumentSource = {
  /** In rows, JSON and forms, e.g. `jsonl`. */
  name: string
  /** File extensions in lower case, with the dot. */
  extensions: readonly string[]
  /** Shown to users: what such a file holds. */
  summary: string
  /** Whether documents have fields, one of which is the text. */
  hasFields: boolean
  /** @throws InputError naming file, line and field */
  read(request: DocumentRequest): AsyncIterable<TextDocument>
}

// What a kind of text file is to the rest of the program: a name, the endings it goes by, and a way to read its documents
// as a stream. Sources are listed in document_sources.ts; each is a file here.
import type { InputError } from '@mistudio/files'

/** `sourceRow`: where in its file a document comes from, counted from 0; what a row is says the source. */
export type TextDocument = { text: string; sourceFile: string; sourceRow: number }

export type DocumentRequest = {
  /** Names the file in documents and errors. */
  file: string
  bytes: AsyncIterable<Uint8Array>
  /** Which field holds the text, where documents have fields. */
  textField: string
  /** The most bytes of one document. */
  maxDocumentBytes: number
  /**
   * Told of a document that cannot be used, which is then passed over. Absent: the first one ends the reading with its
   * error. Sources of one document have none to pass over.
   */
  onBad?(error: InputError): void
}

export type DocumentSource = {
  /** In rows, JSON and forms, e.g. `jsonl`. */
  name: string
  /** Endings of file names in lower case, with the dot. */
  extensions: readonly string[]
  /** For a person: what such a file holds. */
  summary: string
  /** Do documents have fields, one of which holds the text? */
  hasFields: boolean
  /** @throws InputError naming file, line and field */
  read(request: DocumentRequest): AsyncIterable<TextDocument>
}

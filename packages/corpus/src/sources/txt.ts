// Plain text: the file is one document, at row 0. CRLF becomes LF.
import type { DocumentSource } from './document_source.ts'
import { decode, linesOf, tooLong } from './lines.ts'

export const txt: DocumentSource = {
  name: 'txt',
  extensions: ['.txt'],
  summary: 'plain text, one document per file',
  hasFields: false,
  async *read({ file, bytes: source, maxDocumentBytes: maxLineBytes }) {
    // Reads the file as one line that newlines do not end.
    for await (const { row, bytes } of linesOf({ source, separate: false, maxLineBytes })) {
      const text = bytes === undefined ? tooLong(file, row, maxLineBytes) : decode(file, row, bytes)
      yield { text: text.replaceAll('\r\n', '\n'), sourceFile: file, sourceRow: row }
    }
  },
}

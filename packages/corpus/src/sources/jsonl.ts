// JSON Lines: an object per line, one of whose fields is the text of a document. A row is a line, counting blank ones.
import { InputError, isObject } from '@mistudio/files'
import type { DocumentSource } from './document_source.ts'
import { decode, linesOf, tooLong } from './lines.ts'

export const jsonl: DocumentSource = {
  name: 'jsonl',
  extensions: ['.jsonl'],
  summary: 'one JSON object per line, with a field for the text',
  hasFields: true,
  async *read({ file, bytes: source, textField, maxDocumentBytes: maxLineBytes, onBad }) {
    for await (const { row, bytes } of linesOf({ source, separate: true, maxLineBytes })) {
      try {
        const line = bytes === undefined ? tooLong(file, row, maxLineBytes) : decode(file, row, bytes)
        if (line.trim() !== '') {
          yield { text: textOf(file, row, line, textField), sourceFile: file, sourceRow: row }
        }
      } catch (error) {
        if (onBad === undefined || !(error instanceof InputError)) throw error
        onBad(error)
      }
    }
  },
}

function textOf(file: string, row: number, line: string, field: string): string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    const expected = 'one JSON object per line'
    throw new InputError({
      message: 'a line is not JSON',
      file,
      line: row + 1,
      field,
      found: excerpt(line),
      expected,
    })
  }
  const text: unknown = isObject(value) && Object.hasOwn(value, field) ? value[field] : undefined
  if (typeof text === 'string') return text.toWellFormed()
  const found = text === undefined ? excerpt(line) : `a value of type ${text === null ? 'null' : typeof text}`
  const message = text === undefined ? 'a line lacks the text field' : 'the text field is not a string'
  const expected = `an object with a string in '${field}'`
  throw new InputError({ message, file, line: row + 1, field, found, expected })
}

const excerpt = (line: string): string => (line.length <= 80 ? line.trim() : `${line.slice(0, 80).trim()} …`)

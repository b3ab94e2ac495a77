// Documents out of .jsonl (one a line) and .txt (one a file), read as a stream: a data set may be larger than the
// memory. Files are hostile until checked: no line is held beyond its bound, and bytes that are not UTF-8 are named,
// not replaced.
import { createReadStream, statSync } from 'node:fs'
import { extname } from 'node:path'
import { InputError, isObject } from '@mistudio/files'

/** A longer line (or .txt file) is refused: it would have to be held whole. */
export const defaultMaxLineBytes = 64 * 1024 * 1024

const readAtOnceBytes = 256 * 1024
const newline = 0x0a

/** `sourceRow` is the zero-based line of a .jsonl file, blank lines counted; 0 for a .txt file. */
export type TextDocument = { text: string; sourceFile: string; sourceRow: number }

export type ReadTextOptions = {
  /** A .jsonl or .txt file. */
  file: string
  /** The file's bytes while they come from elsewhere, such as an upload: `file` is then only their name. */
  source?: AsyncIterable<Uint8Array>
  /** Where a .jsonl line keeps its text; 'text' by default. */
  textField?: string
  /** Passes over lines that cannot be used, `onBadLine` being told of each; off by default. */
  skipBadLines?: boolean
  onBadLine?(error: InputError): void
  maxLineBytes?: number
  /** Sees every byte of the file once, in order: for checksums and progress. */
  onBytes?(bytes: Uint8Array): void
}

/**
 * Yields the file's documents in order. A byte order mark is dropped, CRLF in .txt becomes LF, blank .jsonl lines are
 * passed over, and lone surrogates out of JSON escapes become U+FFFD, so that every text has a UTF-8 form.
 * @throws InputError naming file, line and field.
 */
export async function* readText(options: ReadTextOptions): AsyncGenerator<TextDocument> {
  const { file, textField = 'text', skipBadLines = false, onBadLine } = options
  const { maxLineBytes = defaultMaxLineBytes, onBytes } = options
  const format = options.source === undefined ? checkTextFile(file) : textFormat(file)
  const source = options.source ?? createReadStream(file, { highWaterMark: readAtOnceBytes })
  // A .txt file is one line that newlines do not end.
  const separate = format === 'jsonl'
  for await (const { row, bytes } of linesOf({ source, separate, maxLineBytes, onBytes })) {
    try {
      const line = bytes === undefined ? tooLong(file, row, maxLineBytes) : decode(file, row, bytes)
      if (format === 'txt') yield { text: line.replaceAll('\r\n', '\n'), sourceFile: file, sourceRow: 0 }
      else if (line.trim() !== '')
        yield { text: textOf(file, row, line, textField), sourceFile: file, sourceRow: row }
    } catch (error) {
      if (!skipBadLines || format === 'txt' || !(error instanceof InputError)) throw error
      onBadLine?.(error)
    }
  }
}

/** The format by the name's extension. @throws InputError for another one */
export function textFormat(file: string): 'jsonl' | 'txt' {
  const extension = extname(file).toLowerCase()
  if (extension !== '.jsonl' && extension !== '.txt') {
    throw new InputError({
      message: 'unknown text format',
      file,
      found: extension || 'a name without extension',
      expected: '.jsonl or .txt',
    })
  }
  return extension === '.jsonl' ? 'jsonl' : 'txt'
}

/** The format of a file that is there. @throws InputError when it is not, or is of another kind */
export function checkTextFile(file: string): 'jsonl' | 'txt' {
  const format = textFormat(file)
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found?.isFile()) {
    const what = found === undefined ? 'nothing' : 'a folder or device'
    throw new InputError({ message: 'no such text file', file, found: what, expected: 'a file' })
  }
  return format
}

type Line = { row: number; bytes: Uint8Array | undefined }

/** Lines without their newline; `bytes` is undefined, at once, for a line beyond `maxLineBytes`. */
async function* linesOf(options: {
  source: AsyncIterable<Uint8Array>
  separate: boolean
  maxLineBytes: number
  onBytes?(bytes: Uint8Array): void
}): AsyncGenerator<Line> {
  const { source, separate, maxLineBytes, onBytes } = options
  let row = 0
  let parts: Uint8Array[] = []
  let held = 0
  let overflowed = false
  for await (const chunk of source) {
    onBytes?.(chunk)
    let from = 0
    while (from < chunk.length) {
      const at = separate ? chunk.indexOf(newline, from) : -1
      const to = at < 0 ? chunk.length : at
      held += to - from
      if (held > maxLineBytes) {
        parts = []
        if (!overflowed) yield { row, bytes: undefined }
        overflowed = true
      } else parts.push(chunk.subarray(from, to))
      if (at >= 0) {
        if (!overflowed) yield { row, bytes: joined(parts) }
        row++
        parts = []
        held = 0
        overflowed = false
      }
      from = to + 1
    }
  }
  if (held > 0 && !overflowed) yield { row, bytes: joined(parts) }
}

const joined = (parts: Uint8Array[]): Uint8Array => (parts.length === 1 ? parts[0] : Buffer.concat(parts))

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(file: string, row: number, bytes: Uint8Array): string {
  const marked = row === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  try {
    return utf8.decode(marked ? bytes.subarray(3) : bytes)
  } catch {
    const expected = 'UTF-8; convert the file, or pass over such lines'
    throw new InputError({
      message: 'bytes that are not UTF-8',
      file,
      line: firstBadLine(row, bytes),
      expected,
    })
  }
}

/** In a .txt file the document is many lines; the one with the bad bytes is named. */
function firstBadLine(row: number, bytes: Uint8Array): number {
  let line = row
  let from = 0
  while (from < bytes.length) {
    const at = bytes.indexOf(newline, from)
    const to = at < 0 ? bytes.length : at
    try {
      utf8.decode(bytes.subarray(from, to))
    } catch {
      break
    }
    from = to + 1
    line++
  }
  return line + 1
}

function tooLong(file: string, row: number, maxLineBytes: number): never {
  const expected = `at most ${maxLineBytes} bytes a document`
  throw new InputError({ message: 'a document is too long', file, line: row + 1, expected })
}

function textOf(file: string, row: number, line: string, field: string): string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    const expected = 'one JSON object a line'
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

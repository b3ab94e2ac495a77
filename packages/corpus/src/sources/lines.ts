// Splits a stream of bytes into lines and decodes UTF-8: no line is held beyond its limit, and invalid UTF-8 is
// reported, not replaced.
import { InputError } from '@mistudio/files'

const newline = 0x0a

export type Line = { row: number; bytes: Uint8Array | undefined }

/** Lines without their newline; `bytes` is undefined, without reading on, for a line beyond `maxLineBytes`. */
export async function* linesOf(options: {
  source: AsyncIterable<Uint8Array>
  separate: boolean
  maxLineBytes: number
}): AsyncGenerator<Line> {
  const { source, separate, maxLineBytes } = options
  let row = 0
  let parts: Uint8Array[] = []
  let held = 0
  let overflowed = false
  for await (const chunk of source) {
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

export function decode(file: string, row: number, bytes: Uint8Array): string {
  const marked = row === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  try {
    return utf8.decode(marked ? bytes.subarray(3) : bytes)
  } catch {
    const expected = 'UTF-8; convert the file, or skip such lines'
    throw new InputError({
      message: 'bytes that are not UTF-8',
      file,
      line: firstBadLine(row, bytes),
      expected,
    })
  }
}

/** In a .txt file the document is many lines; reports the one with the bad bytes. */
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

export function tooLong(file: string, row: number, maxLineBytes: number): never {
  const expected = `at most ${maxLineBytes} bytes per document`
  throw new InputError({ message: 'a document is too long', file, line: row + 1, expected })
}

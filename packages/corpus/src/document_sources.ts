// The kinds of text file there are. A new one is a file in sources/ and a line here, which imports it where it is listed.
import { statSync } from 'node:fs'
import { extname } from 'node:path'
import { InputError } from '@mistudio/files'
import type { DocumentSource } from './sources/document_source.ts'

export const documentSources: readonly DocumentSource[] = [
  (await import('./sources/jsonl.ts')).jsonl,
  (await import('./sources/txt.ts')).txt,
]

/** All text file extensions, for messages and file choosers: `.jsonl or .txt`. */
export const textExtensions = (): string[] => documentSources.flatMap(({ extensions }) => extensions)

/** The source for a file of this name. @throws InputError for an unknown extension */
export function sourceOf(file: string): DocumentSource {
  const extension = extname(file).toLowerCase()
  const found = documentSources.find(({ extensions }) => extensions.includes(extension))
  if (found !== undefined) return found
  throw new InputError({
    message: 'unknown text format',
    file,
    found: extension || 'a name without extension',
    expected: textExtensions().join(' or '),
  })
}

/** The source for an existing file. @throws InputError if it is missing or of an unknown kind */
export function checkTextFile(file: string): DocumentSource {
  const source = sourceOf(file)
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found?.isFile()) {
    const what = found === undefined ? 'nothing' : 'a folder or device'
    throw new InputError({ message: 'no such text file', file, found: what, expected: 'a file' })
  }
  return source
}

// Reading the JSON files of a model's folder with errors that name the file and the field.
import { readFileSync, statSync } from 'node:fs'
import { InputError } from '@mistudio/files'

export type JsonObject = { [key: string]: unknown }
type Where = { file: string; field: string }

/** The largest known vocabularies take about 40 MB. */
const largestFile = 2 ** 28

/** @returns null if the file does not exist @throws InputError if it is not a JSON object */
export function readJson(file: string): JsonObject | null {
  let text: string
  try {
    const { size } = statSync(file)
    if (size > largestFile) {
      const expected = `at most ${largestFile} bytes`
      throw new InputError({ message: 'a file too large to read', file, found: `${size} bytes`, expected })
    }
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return null
    throw error
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error)
    throw new InputError({ message: 'not JSON', file, found, expected: 'a JSON object' })
  }
  return asObject(value, { file, field: '(whole file)' })
}

export function asObject(value: unknown, where: Where): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw wrong('an object', value, where)
}

export function asArray(value: unknown, where: Where): unknown[] {
  if (Array.isArray(value)) return value
  throw wrong('a list', value, where)
}

export function asString(value: unknown, where: Where): string {
  if (typeof value === 'string') return value
  throw wrong('a text', value, where)
}

/** Null and absent mean `fallback`. */
export function optionalString(value: unknown, fallback: string, where: Where): string {
  return value === undefined || value === null ? fallback : asString(value, where)
}

/** Null and absent mean `fallback`. */
export function asFlag(value: unknown, fallback: boolean, where: Where): boolean {
  if (value === undefined || value === null) return fallback
  if (typeof value === 'boolean') return value
  throw wrong('true or false', value, where)
}

/** Above any known vocabulary; bounds the table of tokens by id. */
const idLimit = 2 ** 24

/** A token id: a whole number from 0 to 2^24 - 1, whatever the vocabulary. */
export function asTokenId(value: unknown, where: Where): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < idLimit) return value
  throw wrong(`a token id, a whole number from 0 to ${idLimit - 1}`, value, where)
}

/** An error for an unknown type name, listing the known ones. */
export function unknownType(options: Where & { what: string; found: unknown; known: string[] }): InputError {
  const { what, found, known, file, field } = options
  const message = `a ${what} that is not supported`
  return new InputError({ message, file, field, found: show(found), expected: `one of ${known.join(', ')}` })
}

function wrong(expected: string, value: unknown, { file, field }: Where): InputError {
  return new InputError({ message: 'a field of the wrong kind', file, field, found: show(value), expected })
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 200)

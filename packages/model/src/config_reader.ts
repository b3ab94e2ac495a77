// Typed access to a parsed config.json: every error names the file, the key, what was found and what was
// expected, and sizes are bounded before anything is built from them.
import { InputError, isObject } from '@mistudio/files'

/** No size in a decoder's config is larger; the product of two is still an exact integer. */
const largestSize = 2 ** 26

export type ConfigReader = {
  file: string
  /** Present and not null. */
  has(key: string): boolean
  /** A positive integer. Without `fallback` the key is required. */
  size(key: string, fallback?: number): number
  positive(key: string, fallback?: number): number
  flag(key: string, fallback: boolean): boolean
  choice<C extends string>(key: string, choices: readonly C[], fallback: C): C
  /** A token id, a list of them, or null. */
  tokens(key: string): number[]
  /** A nested object, undefined if absent or null. */
  object(key: string): ConfigReader | undefined
  fail(field: string, found: unknown, expected: string): never
}

export function configReader(options: {
  file: string
  raw: Record<string, unknown>
  /** Path of the object inside the file, '' for the file itself. */
  prefix?: string
}): ConfigReader {
  const { file, raw, prefix = '' } = options
  const read = (key: string) => (Object.hasOwn(raw, key) ? raw[key] : undefined)
  const has = (key: string) => read(key) !== undefined && read(key) !== null
  const fail = (field: string, found: unknown, expected: string): never => {
    throw new InputError({
      message: 'the model config cannot be used',
      file,
      field: `${prefix}${field}`,
      found: found === undefined ? 'nothing' : JSON.stringify(found),
      expected,
    })
  }
  const isToken = (value: unknown): value is number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
  return {
    file,
    has,
    fail,
    size(key, fallback) {
      const value = has(key) ? read(key) : fallback
      if (!isToken(value) || value < 1 || value > largestSize) return fail(key, value, 'a positive integer')
      return value
    },
    positive(key, fallback) {
      const value = has(key) ? read(key) : fallback
      if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
        return fail(key, value, 'a positive number')
      }
      return value
    },
    flag(key, fallback) {
      const value = has(key) ? read(key) : fallback
      return typeof value === 'boolean' ? value : fail(key, value, 'true or false')
    },
    choice(key, choices, fallback) {
      const value = has(key) ? read(key) : fallback
      return choices.find(choice => choice === value) ?? fail(key, value, `one of ${choices.join(', ')}`)
    },
    tokens(key) {
      if (!has(key)) return []
      const value = read(key)
      const list: unknown[] = Array.isArray(value) ? value : [value]
      // Some checkpoints mark "no such token" with -1.
      const present = list.filter(token => token !== -1 && token !== null)
      return present.every(isToken) ? present : fail(key, value, 'a token id or a list of them')
    },
    object(key) {
      if (!has(key)) return undefined
      const value = read(key)
      if (!isObject(value)) return fail(key, value, 'an object')
      return configReader({ file, raw: value, prefix: `${prefix}${key}.` })
    },
  }
}

/** eos and bos of a config; both are optional. */
export function readTokens(reader: ConfigReader): {
  eosTokenId: number | null
  eosTokenIds: number[]
  bosTokenId: number | null
} {
  const eosTokenIds = reader.tokens('eos_token_id')
  const bos = reader.tokens('bos_token_id')
  return { eosTokenIds, eosTokenId: eosTokenIds[0] ?? null, bosTokenId: bos[0] ?? null }
}

// Patterns of a tokenizer.json: Oniguruma's dialect, which the tokenizer library translates to
// JavaScript's (`\s` is Unicode White_Space, POSIX classes, inline flags).
import { SplitPreTokenizer } from '@huggingface/tokenizers'
import { InputError } from '@mistudio/files'
import { asObject } from './json.ts'

type Where = { file: string; field: string }

/** @throws InputError naming the file and the pattern if it cannot be translated to JavaScript */
export function compilePattern({ pattern, file, field }: Where & { pattern: unknown }): RegExp {
  const value = asObject(pattern, { file, field })
  if (typeof value.String === 'string') return new RegExp(escapeLiteral(value.String), 'gu')
  if (typeof value.Regex === 'string') return compileRegex({ source: value.Regex, file, field })
  const found = JSON.stringify(value)
  throw new InputError({
    message: 'unknown kind of pattern',
    file,
    field,
    found,
    expected: 'String or Regex',
  })
}

export function compileRegex({ source, file, field }: Where & { source: string }): RegExp {
  try {
    const { pattern } = new SplitPreTokenizer({
      type: 'Split',
      pattern: { Regex: source },
      behavior: 'Isolated',
      invert: false,
    })
    if (pattern !== null) return new RegExp(pattern.source, 'gu')
  } catch (error) {
    const message = `a pattern that cannot be read (${error instanceof Error ? error.message : String(error)})`
    throw new InputError({ message, file, field, found: source })
  }
  throw new InputError({ message: 'a pattern that cannot be read', file, field, found: source })
}

export const escapeLiteral = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

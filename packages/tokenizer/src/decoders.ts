// From tokens back to text: the decoders of a tokenizer.json, as in the Rust crate `tokenizers`.

import { fromByteCharacters } from './byte_level.ts'
import { asArray, asFlag, asObject, asString, optionalString, unknownType } from './json.ts'
import { compilePattern } from './patterns.ts'

/** From token strings to token strings; their concatenation is the text. */
export type Decoder = (tokens: string[]) => string[]

const known = ['Sequence', 'ByteLevel', 'Metaspace', 'Replace', 'ByteFallback', 'Fuse', 'Strip']

/** Bytes to text; invalid UTF-8 becomes U+FFFD, a byte order mark stays. */
export const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** @param config the `decoder` of a tokenizer.json, null for none (tokens are then joined by spaces) */
export function createDecoder({
  config,
  file,
  field,
}: {
  config: unknown
  file: string
  field: string
}): Decoder {
  if (config === null || config === undefined) return tokens => [tokens.join(' ')]
  const settings = asObject(config, { file, field })
  const at = (name: string) => ({ file, field: `${field}.${name}` })
  switch (settings.type) {
    case 'Sequence': {
      const list = asArray(settings.decoders, at('decoders'))
      const steps = list.map((step, i) => createDecoder({ config: step, ...at(`decoders[${i}]`) }))
      return tokens => steps.reduce((result, step) => step(result), tokens)
    }
    case 'ByteLevel':
      return tokens => [utf8.decode(concatenate(tokens.map(fromByteCharacters)))]
    case 'Metaspace': {
      const mark = optionalString(settings.replacement, '▁', at('replacement'))
      const spaces = asFlag(settings.add_prefix_space, true, at('add_prefix_space'))
      const scheme = optionalString(
        settings.prepend_scheme,
        spaces ? 'always' : 'never',
        at('prepend_scheme'),
      )
      return tokens =>
        tokens.map((token, i) =>
          Array.from(token, character => {
            if (character !== mark) return character
            return i === 0 && scheme !== 'never' ? '' : ' '
          }).join(''),
        )
    }
    case 'Replace': {
      const pattern = compilePattern({ pattern: settings.pattern, ...at('pattern') })
      const content = asString(settings.content, at('content'))
      return tokens => tokens.map(token => token.replaceAll(pattern, () => content))
    }
    case 'ByteFallback':
      return byteFallback
    case 'Fuse':
      return tokens => [tokens.join('')]
    case 'Strip': {
      const content = asString(settings.content, at('content'))
      const [start, stop] = [settings.start, settings.stop].map(count =>
        typeof count === 'number' ? count : 0,
      )
      return tokens => tokens.map(token => stripOf(token, content, start, stop))
    }
    default:
      throw unknownType({ what: 'decoder', found: settings.type, known, ...at('type') })
  }
}

/** The byte that `<0xE2>` stands for, or -1. */
export function fallbackByte(token: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1
}

/** Runs of byte tokens become the text they spell, or one U+FFFD each if they spell none. */
function byteFallback(tokens: string[]): string[] {
  const result: string[] = []
  let run: number[] = []
  const flush = () => {
    if (run.length === 0) return
    try {
      result.push(new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(Uint8Array.from(run)))
    } catch {
      result.push(...run.map(() => '\ufffd'))
    }
    run = []
  }
  for (const token of tokens) {
    const byte = fallbackByte(token)
    if (byte >= 0) {
      run.push(byte)
    } else {
      flush()
      result.push(token)
    }
  }
  flush()
  return result
}

function stripOf(token: string, content: string, start: number, stop: number): string {
  const characters = Array.from(token)
  let first = 0
  while (first < start && characters[first] === content) first++
  let last = characters.length
  while (characters.length - last < stop && last > first && characters[last - 1] === content) last--
  return characters.slice(first, last).join('')
}

export function concatenate(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

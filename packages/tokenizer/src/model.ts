// What cuts a word into tokens. Two kinds exist in language models: BPE and Unigram.

import { createBpe } from './bpe.ts'
import { asObject, type JsonObject, unknownType } from './json.ts'
import { createUnigram } from './unigram.ts'

/**
 * Tokens of a word: `spans[2i]`, `spans[2i + 1]` are where token i begins and ends in the word, UTF-16 code
 * units.
 */
export type WordTokens = { ids: number[]; spans: number[] }

export type WordModel = { tokenize(word: string): WordTokens; vocabulary: Map<string, number> }

/** @throws InputError for a type not known */
export function createModel({ tokenizer, file }: { tokenizer: JsonObject; file: string }): WordModel {
  const config = asObject(tokenizer.model, { file, field: 'model' })
  // Old files leave the type out: merges tell BPE.
  const type = config.type ?? (Array.isArray(config.merges) ? 'BPE' : undefined)
  if (type === 'BPE') return createBpe({ config, file })
  if (type === 'Unigram') return createUnigram({ config, file })
  throw unknownType({
    what: 'tokenizer model',
    found: type,
    known: ['BPE', 'Unigram'],
    file,
    field: 'model.type',
  })
}

/** The tokens `<0x00>` … `<0xFF>` of a vocabulary, by byte; -1 where it has none. */
export function byteTokens(vocabulary: Map<string, number>): Int32Array {
  const ids = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    ids[byte] = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1
  }
  return ids
}

const encoder = new TextEncoder()

/** Byte tokens of a text, or null when the vocabulary lacks one of them. */
export function fallback(text: string, ids: Int32Array): number[] | null {
  const tokens = Array.from(encoder.encode(text), byte => ids[byte])
  return tokens.includes(-1) ? null : tokens
}

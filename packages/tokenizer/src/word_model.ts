// The interface of both kinds of tokenizer model: words in, tokens with their places out. Also the byte tokens that both
// fall back on for characters missing from their vocabulary.

/**
 * Tokens of a word: `spans[2i]`, `spans[2i + 1]` are where token i begins and ends in the word, in UTF-16 code
 * units.
 */
export type WordTokens = { ids: number[]; spans: number[] }

export type WordModel = { tokenize(word: string): WordTokens; vocabulary: Map<string, number> }

/** The tokens `<0x00>` … `<0xFF>` of a vocabulary, by byte; -1 where it has none. */
export function byteTokens(vocabulary: Map<string, number>): Int32Array {
  const ids = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    ids[byte] = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`) ?? -1
  }
  return ids
}

const encoder = new TextEncoder()

/** Byte tokens of a text, or null if the vocabulary lacks one of them. */
export function fallback(text: string, ids: Int32Array): number[] | null {
  const tokens = Array.from(encoder.encode(text), byte => ids[byte])
  return tokens.includes(-1) ? null : tokens
}

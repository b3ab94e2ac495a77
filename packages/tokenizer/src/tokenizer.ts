// Text to tokens and back, with the position of every token in the text. `@huggingface/tokenizers` gives no
// offsets and splits some texts differently from Python's `tokenizers`, with which models are trained; so the
// pipeline of added tokens, normaliser, pre-tokenizer and model is implemented here on text that tracks its origin
// (aligned.ts), by the rules of the Rust crate, and the library only translates Oniguruma's
// patterns to JavaScript. Words repeat often, so each is split once.
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { createSplitter, readAddedTokens } from './added_tokens.ts'
import { type Aligned, characterRange, originalEnd, originalStart, slice, unchanged } from './aligned.ts'
import { byteSpans, toByteCharacters } from './byte_level.ts'
import { createDecoder, utf8 } from './decoders.ts'
import { readDocumentTokens } from './document_token.ts'
import { type JsonObject, readJson } from './json.ts'
import { createModel } from './model.ts'
import { createNormalizer } from './normalizers.ts'
import { createTokenBytes, joinPieces, type Piece } from './pieces.ts'
import { createPreTokenizer } from './pre_tokenizers.ts'
import { createTrims, type Range } from './trim.ts'
import type { WordModel, WordTokens } from './word_model.ts'

export type Tokenizer = {
  /** One more than the highest token id. */
  vocabSize: number
  /** Separates documents: eos, else bos. */
  documentToken: number
  /** Added tokens marked special, eos and bos. */
  specialTokens: Set<number>
  /**
   * Ids and places of a text's tokens; no special token is added. A place is `[start, end)` in UTF-16 code
   * units of `text`, the same characters as `offsets` of Python's `tokenizers`: tokens that share a character
   * have its whole range.
   */
  encode(text: string): { ids: number[]; offsets: Range[] }
  /** Only the ids of `encode`, faster. */
  encodeIds(text: string): number[]
  /** @throws InputError for an id beyond the vocabulary */
  decode(ids: ArrayLike<number>): string
  /** One token as text, spaces kept; part of a character becomes U+FFFD. */
  tokenText(id: number): string
  /** Consecutive tokens as text: those that split a character are one piece. */
  pieces(ids: ArrayLike<number>): Piece[]
}

/** Longer words are not cached: they hardly ever repeat. */
const longestKeptWord = 64
/** Bounds the cache of words, about 30 MB; it is cleared when full. */
const keptWords = 200_000

/**
 * The tokenizer of a model's folder: tokenizer.json, and the names of its special tokens from config.json,
 * generation_config.json and tokenizer_config.json.
 *
 * @throws InputError when tokenizer.json is missing, no JSON, or asks for something that is not supported
 * @example
 * const tokenizer = openTokenizer({ dir: 'assets/demo/model' })
 * const { ids, offsets } = tokenizer.encode('In the beginning')
 * console.log(ids.map((id, i) => [tokenizer.tokenText(id), offsets[i]]))
 */
export function openTokenizer({ dir }: { dir: string }): Tokenizer {
  const file = join(dir, 'tokenizer.json')
  const tokenizer = readTokenizerFile(dir, file)
  const added = readAddedTokens({ tokenizer, file })
  const model = createModel({ tokenizer, file })
  const tokens: string[] = []
  for (const [token, id] of model.vocabulary) tokens[id] = token
  for (const { id, content } of added) tokens[id] = content
  const idOf = (content: string) =>
    added.find(token => token.content === content)?.id ?? model.vocabulary.get(content)
  const vocabSize = tokens.length
  if (vocabSize === 0) throw new InputError({ message: 'an empty vocabulary', file, field: 'model.vocab' })

  const { walk, byteLevel } = createWalk({ tokenizer, file, added, model })
  const trims = createTrims({ config: tokenizer.post_processor, file, field: 'post_processor' })
  const decoder = createDecoder({ config: tokenizer.decoder, file, field: 'decoder' })
  const bytesOf = createTokenBytes({
    tokens,
    added,
    tokenizer,
    byteLevel,
    byteFallback: hasByteTokens(model),
  })
  const check = (id: number): number => {
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) return id
    const expected = `a whole number from 0 to ${vocabSize - 1}`
    throw new InputError({ message: 'a token id beyond the vocabulary', file, found: String(id), expected })
  }

  return {
    vocabSize,
    ...readDocumentTokens({ dir, added, idOf, vocabSize }),
    encode(text) {
      const ids: number[] = []
      const offsets: Range[] = []
      const surfaces: string[] = []
      walk(text, {
        token(id, range, surface) {
          ids.push(id)
          offsets.push(range)
          surfaces.push(surface)
        },
        word(found, place) {
          for (let i = 0; i < found.ids.length; i++) {
            ids.push(found.ids[i])
            offsets.push(rangeOf(place, found.spans[2 * i], found.spans[2 * i + 1]))
            surfaces.push(tokens[found.ids[i]])
          }
        },
      })
      for (const trim of trims) trim({ text, tokens: surfaces, offsets })
      return { ids, offsets }
    },
    encodeIds(text) {
      const ids: number[] = []
      walk(text, {
        token: id => ids.push(id),
        word(found) {
          for (const id of found.ids) ids.push(id)
        },
      })
      return ids
    },
    decode: ids => decoder(Array.from(ids, id => tokens[check(id)] ?? '')).join(''),
    tokenText: id => utf8.decode(bytesOf(check(id))),
    pieces: ids => joinPieces({ ids: Array.from(ids, check), bytesOf }),
  }
}

function readTokenizerFile(dir: string, file: string): JsonObject {
  const expected = 'a model folder with tokenizer.json'
  if (!existsSync(dir) || !statSync(dir).isDirectory()) {
    throw new InputError({ message: 'no such model folder', file: dir, expected })
  }
  const tokenizer = readJson(file)
  if (tokenizer === null) throw new InputError({ message: 'no tokenizer', file, found: 'nothing', expected })
  return tokenizer
}

const hasByteTokens = ({ vocabulary }: WordModel): boolean =>
  vocabulary.has('<0x00>') && vocabulary.has('<0xFF>')

type Visitor = {
  /** An added token, its place in the text and its spelling there, including absorbed spaces. */
  token(id: number, range: Range, surface: string): void
  /** The tokens of a word; `place` is the word. */
  word(found: WordTokens, place: Aligned): void
}

type WalkOptions = {
  tokenizer: JsonObject
  file: string
  added: ReturnType<typeof readAddedTokens>
  model: WordModel
}

/** Goes through a text word by word. */
function createWalk({ tokenizer, file, added, model }: WalkOptions) {
  const normalize = createNormalizer({ config: tokenizer.normalizer, file, field: 'normalizer' })
  const { words, byteLevel } = createPreTokenizer({
    config: tokenizer.pre_tokenizer,
    file,
    field: 'pre_tokenizer',
  })
  const asItIs = added.filter(({ normalized }) => !normalized)
  const splitRaw = createSplitter(asItIs.map(token => ({ token, spelling: token.content })))
  const asNormalized = added.filter(({ normalized }) => normalized)
  const splitNormalized = createSplitter(
    asNormalized.map(token => ({
      token,
      spelling: normalize(unchanged({ text: token.content, base: 0 })).text,
    })),
  )
  const cache = new Map<string, WordTokens>()

  function tokensOf(word: string): WordTokens {
    const known = cache.get(word)
    if (known !== undefined) return known
    const found = byteLevel ? tokenizeBytes(model, word) : model.tokenize(word)
    if (word.length <= longestKeptWord) {
      if (cache.size >= keptWords) cache.clear()
      cache.set(word, found)
    }
    return found
  }

  function walk(input: string, visitor: Visitor): void {
    // Half a surrogate pair is not a character: in UTF-8 it is U+FFFD.
    const text = input.toWellFormed()
    for (const section of splitRaw(text)) {
      if (section.token !== null) {
        visitor.token(section.token.id, [section.start, section.end], text.slice(section.start, section.end))
        continue
      }
      const part = unchanged({ text: text.slice(section.start, section.end), base: section.start })
      const normalized = normalize(part)
      for (const { start, end, token } of splitNormalized(normalized.text)) {
        const piece = slice(normalized, start, end)
        if (token !== null) visitor.token(token.id, rangeOf(piece, 0, end - start), piece.text)
        else for (const word of words(piece)) visitor.word(tokensOf(word.text), word)
      }
    }
  }
  return { walk, byteLevel }
}

/** Tokens of a word spelled in byte characters, their spans widened to whole characters of the word. */
function tokenizeBytes(model: WordModel, word: string): WordTokens {
  const spelled = toByteCharacters(word)
  const { ids, spans } = model.tokenize(spelled)
  // Every character is one byte, so spans are already right.
  if (spelled.length === word.length) return { ids, spans }
  const { start, end } = byteSpans(word)
  return { ids, spans: spans.map((byte, i) => (i % 2 === 0 ? start[byte] : end[byte - 1])) }
}

/** Where units `[start, end)` of a word are in the original text. */
function rangeOf(word: Aligned, start: number, end: number): Range {
  if (word.from === null) return [originalStart(word, start), originalEnd(word, end - 1)]
  return [characterRange(word, start)[0], characterRange(word, end - 1)[1]]
}

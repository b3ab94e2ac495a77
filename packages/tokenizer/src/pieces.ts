// Tokens for display. A byte-level token may hold only part of a character: such tokens are
// joined, so that the character shows.
import type { AddedToken } from './added_tokens.ts'
import { fromByteCharacters } from './byte_level.ts'
import { concatenate, fallbackByte, utf8 } from './decoders.ts'
import type { JsonObject } from './json.ts'

/** Tokens `[from, to)` of a list, and the text they stand for. */
export type Piece = { text: string; from: number; to: number }

const encoder = new TextEncoder()

type BytesOptions = {
  tokens: string[]
  added: AddedToken[]
  tokenizer: JsonObject
  byteLevel: boolean
  byteFallback: boolean
}

/** Token id → the bytes it stands for, a space shown as a space. */
export function createTokenBytes({
  tokens,
  added,
  tokenizer,
  byteLevel,
  byteFallback,
}: BytesOptions): (id: number) => Uint8Array {
  const addedById = new Map(added.map(({ id, content }) => [id, content]))
  const mark = byteLevel ? null : spaceMark(tokenizer)
  const known = new Map<number, Uint8Array>()
  const bytesOf = (id: number): Uint8Array => {
    const literal = addedById.get(id)
    if (literal !== undefined) return encoder.encode(literal)
    const token = tokens[id] ?? ''
    if (byteLevel) return fromByteCharacters(token)
    const byte = byteFallback ? fallbackByte(token) : -1
    if (byte >= 0) return Uint8Array.of(byte)
    return encoder.encode(mark === null ? token : token.replaceAll(mark, ' '))
  }
  return id => {
    let bytes = known.get(id)
    if (bytes === undefined) known.set(id, (bytes = bytesOf(id)))
    return bytes
  }
}

/**
 * The character that stands for a space in the vocabulary, if any: `▁` if the file mentions
 * it.
 */
function spaceMark(tokenizer: JsonObject): string | null {
  const parts = JSON.stringify([tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder])
  return /"Metaspace"|▁/.test(parts) ? '▁' : null
}

/** @returns pieces in order; together they cover all tokens */
export function joinPieces({
  ids,
  bytesOf,
}: {
  ids: ArrayLike<number>
  bytesOf: (id: number) => Uint8Array
}): Piece[] {
  const pieces: Piece[] = []
  for (let from = 0; from < ids.length; ) {
    const parts = [bytesOf(ids[from])]
    let whole = parts[0]
    let to = from + 1
    while (to < ids.length && continues(whole, bytesOf(ids[to]))) {
      parts.push(bytesOf(ids[to]))
      // A character has at most four bytes, so only the tail matters for the next check.
      whole = concatenate([whole.subarray(-3), parts.at(-1)!])
      to++
    }
    pieces.push({ text: utf8.decode(concatenate(parts)), from, to })
    from = to
  }
  return pieces
}

/** Whether `next` continues a character that `bytes` leaves unfinished. */
function continues(bytes: Uint8Array, next: Uint8Array): boolean {
  if (next.length === 0 || (next[0] & 0xc0) !== 0x80) return false
  let lead = bytes.length - 1
  while (lead >= 0 && lead > bytes.length - 4 && (bytes[lead] & 0xc0) === 0x80) lead--
  if (lead < 0) return false
  const first = bytes[lead]
  const needed = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1
  if (first > 0xf4 || bytes.length - lead >= needed) return false
  // Overlong forms, surrogates and code points beyond U+10FFFF are not characters: their bytes stay separate.
  const start = concatenate([bytes.subarray(lead), next.subarray(0, 1)])
  return Array.from(utf8.decode(start, { stream: false })).length === 1
}

// Added tokens (most of them special): they are found in the text before anything else splits it. Those with
// `normalized` false are searched in the original text, the others in the normalised text. The longest
// match at the leftmost position wins, as in the Rust crate `tokenizers` (AddedVocabulary).
import { characterLength } from './aligned.ts'
import { asArray, asFlag, asObject, asString, asTokenId, type JsonObject } from './json.ts'
import { escapeLiteral } from './patterns.ts'

export type AddedToken = {
  id: number
  content: string
  special: boolean
  normalized: boolean
  singleWord: boolean
  lstrip: boolean
  rstrip: boolean
}

/** A part of a text: an added token, or the text between two. */
export type Section = { start: number; end: number; token: AddedToken | null }

/** @throws InputError for a list that cannot be read */
export function readAddedTokens({ tokenizer, file }: { tokenizer: JsonObject; file: string }): AddedToken[] {
  const list = asArray(tokenizer.added_tokens ?? [], { file, field: 'added_tokens' })
  return list.map((entry, i) => {
    const at = (name: string) => ({ file, field: `added_tokens[${i}].${name}` })
    const token = asObject(entry, { file, field: `added_tokens[${i}]` })
    const special = asFlag(token.special, false, at('special'))
    return {
      id: asTokenId(token.id, at('id')),
      content: asString(token.content, at('content')),
      special,
      normalized: asFlag(token.normalized, !special, at('normalized')),
      singleWord: asFlag(token.single_word, false, at('single_word')),
      lstrip: asFlag(token.lstrip, false, at('lstrip')),
      rstrip: asFlag(token.rstrip, false, at('rstrip')),
    }
  })
}

/** @param tokens each with its spelling in the searched text (normalised if the text is) */
export function createSplitter(
  tokens: { token: AddedToken; spelling: string }[],
): (text: string) => Section[] {
  const bySpelling = new Map(tokens.filter(t => t.spelling !== '').map(t => [t.spelling, t.token]))
  if (bySpelling.size === 0) return text => (text === '' ? [] : [{ start: 0, end: text.length, token: null }])
  // Alternatives are tried in order, so the longest comes first.
  const spellings = [...bySpelling.keys()].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(spellings.map(escapeLiteral).join('|'), 'gu')
  return text => {
    const sections: Section[] = []
    let done = 0
    for (const match of text.matchAll(pattern)) {
      const token = bySpelling.get(match[0])!
      let start = match.index
      let end = start + match[0].length
      if (token.singleWord && (wordBefore(text, start) || wordAfter(text, end))) continue
      if (token.lstrip) while (start > done && isSpace(text[start - 1])) start--
      if (token.rstrip) while (end < text.length && isSpace(text[end])) end++
      if (start > done) sections.push({ start: done, end: start, token: null })
      sections.push({ start: Math.max(start, done), end, token })
      done = end
    }
    if (done < text.length) sections.push({ start: done, end: text.length, token: null })
    return sections
  }
}

const isSpace = (character: string): boolean => /\p{White_Space}/u.test(character)
const isWord = (character: string): boolean =>
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u.test(character)
const wordAfter = (text: string, end: number): boolean =>
  end < text.length && isWord(text.slice(end, end + characterLength(text, end)))
const wordBefore = (text: string, start: number): boolean =>
  start > 0 && isWord(/.$/su.exec(text.slice(Math.max(0, start - 2), start))![0])

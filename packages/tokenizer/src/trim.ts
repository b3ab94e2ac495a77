// Post-processors do not affect the ids here (no special tokens are added), but byte-level ones trim
// spaces off token offsets if `trim_offsets` is set, as in the Rust crate `tokenizers`
// (process_offsets).
import { asArray, asFlag, asObject, type JsonObject } from './json.ts'

export type Range = [start: number, end: number]

/**
 * Narrows `offsets` in place. `tokens` are the token strings by position, an added token's as spelled in
 * the text.
 */
export type Trim = (options: { text: string; tokens: string[]; offsets: Range[] }) => void

/** @param config the `post_processor` of a tokenizer.json, null for none */
export function createTrims({
  config,
  file,
  field,
}: {
  config: unknown
  file: string
  field: string
}): Trim[] {
  if (config === null || config === undefined) return []
  const settings: JsonObject = asObject(config, { file, field })
  const at = (name: string) => ({ file, field: `${field}.${name}` })
  if (settings.type === 'Sequence') {
    const list = asArray(settings.processors, at('processors'))
    return list.flatMap((step, i) => createTrims({ config: step, ...at(`processors[${i}]`) }))
  }
  if (settings.type !== 'ByteLevel' && settings.type !== 'RobertaProcessing') return []
  if (!asFlag(settings.trim_offsets, true, at('trim_offsets'))) return []
  const addsPrefix = asFlag(settings.add_prefix_space, true, at('add_prefix_space'))
  const trim: Trim = ({ text, tokens, offsets }) => {
    for (const [i, token] of tokens.entries()) trimOne(text, token, offsets[i], i, addsPrefix)
  }
  return [trim]
}

function trimOne(text: string, token: string, range: Range, index: number, addsPrefix: boolean): void {
  let leading = spaces(Array.from(token))
  const trailing = spaces(Array.from(token).reverse())
  if (leading > 0) {
    // A lone space at the start is the one that was prepended: the text has none to trim.
    if ((index === 0 || range[0] === 0) && addsPrefix && leading === 1) leading = 0
    range[0] = Math.min(forward(text, range[0], leading), range[1])
  }
  const shorter = trailing > 0 ? backward(text, range[1], trailing) : -1
  if (shorter >= 0) range[1] = Math.max(shorter, range[0])
}

const spaces = (characters: string[]): number => {
  const other = characters.findIndex(character => character !== 'Ġ' && !/\p{White_Space}/u.test(character))
  return other < 0 ? characters.length : other
}

/** `count` characters on, ending at the text's end. */
function forward(text: string, from: number, count: number): number {
  let at = from
  for (let i = 0; i < count && at < text.length; i++) at += text.codePointAt(at)! > 0xffff ? 2 : 1
  return at
}

/** `count` characters back, -1 when there are fewer. */
function backward(text: string, from: number, count: number): number {
  let at = from
  for (let i = 0; i < count; i++) {
    if (at === 0) return -1
    at -= at > 1 && text.codePointAt(at - 2)! > 0xffff ? 2 : 1
  }
  return at
}

// The pre-tokenizers of a tokenizer.json: they split aligned text into words. The ways to split at a pattern are
// those of the Rust crate `tokenizers` (SplitDelimiterBehavior).
import { InputError } from '@mistudio/files'
import { type Aligned, findMatches, originalStart, prepend, replace, slice } from './aligned.ts'
import { asArray, asFlag, asObject, asString, type JsonObject, optionalString, unknownType } from './json.ts'
import { compilePattern, compileRegex } from './patterns.ts'

export type PreTokenizer = {
  words(aligned: Aligned): Aligned[]
  /** Words are then spelled in byte characters (GPT-2). */
  byteLevel: boolean
}

type Step = (aligned: Aligned) => Aligned[]
type Where = { file: string; field: string }

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
type Behavior = (typeof behaviors)[number]

const known = [
  'Sequence',
  'ByteLevel',
  'Metaspace',
  'Split',
  'Digits',
  'Punctuation',
  'Whitespace',
  'WhitespaceSplit',
]
known.push('BertPreTokenizer', 'CharDelimiterSplit')

// radford/gpt-2, encoder.py.
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
const punctuation = /[!-/:-@[-`{-~\p{P}]/gu

/**
 * @param config the `pre_tokenizer` of a tokenizer.json, null for none @throws InputError for a type not
 * known
 */
export function createPreTokenizer({ config, file, field }: { config: unknown } & Where): PreTokenizer {
  if (config === null || config === undefined) return { words: aligned => [aligned], byteLevel: false }
  const flat = flatten(asObject(config, { file, field }), { file, field })
  const bytes = flat.findIndex(({ settings }) => settings.type === 'ByteLevel')
  if (bytes >= 0 && bytes < flat.length - 1) {
    const found = flat.map(({ settings }) => settings.type).join(', ')
    const message = 'a pre-tokenizer after the byte level is not supported'
    throw new InputError({ message, file, field, found, expected: 'ByteLevel as the last one' })
  }
  const steps = flat.map(({ settings, where }) => createStep(settings, where))
  return {
    words: aligned => steps.reduce((words, step) => words.flatMap(step), [aligned]),
    byteLevel: bytes >= 0,
  }
}

/** Flattens nested sequences. */
function flatten(settings: JsonObject, where: Where): { settings: JsonObject; where: Where }[] {
  if (settings.type !== 'Sequence') return [{ settings, where }]
  const at = (name: string) => ({ file: where.file, field: `${where.field}.${name}` })
  return asArray(settings.pretokenizers, at('pretokenizers')).flatMap((step, i) =>
    flatten(asObject(step, at(`pretokenizers[${i}]`)), at(`pretokenizers[${i}]`)),
  )
}

function createStep(settings: JsonObject, where: Where): Step {
  const at = (name: string) => ({ file: where.file, field: `${where.field}.${name}` })
  switch (settings.type) {
    case 'ByteLevel': {
      const prefix = asFlag(settings.add_prefix_space, true, at('add_prefix_space'))
      const regex = asFlag(settings.use_regex, true, at('use_regex'))
      const cutWords = regex ? cutAt(compileRegex({ source: gpt2, ...where }), 'Isolated') : whole
      return aligned => cutWords(prefix && !aligned.text.startsWith(' ') ? prepend(aligned, ' ') : aligned)
    }
    case 'Metaspace':
      return metaspace(settings, where)
    case 'Split': {
      const behavior = behaviorOf(asString(settings.behavior, at('behavior')), at('behavior'))
      const pattern = compilePattern({ pattern: settings.pattern, ...at('pattern') })
      return cutAt(pattern, behavior, asFlag(settings.invert, false, at('invert')))
    }
    case 'Digits':
      return cutAt(
        /\p{N}/gu,
        asFlag(settings.individual_digits, false, at('individual_digits')) ? 'Isolated' : 'Contiguous',
      )
    case 'Punctuation':
      return cutAt(
        punctuation,
        behaviorOf(optionalString(settings.behavior, 'Isolated', at('behavior')), at('behavior')),
      )
    case 'Whitespace':
      return cutAt(compileRegex({ source: '\\w+|[^\\w\\s]+', ...where }), 'Removed', true)
    case 'WhitespaceSplit':
      return cutAt(/\p{White_Space}/gu, 'Removed')
    case 'BertPreTokenizer': {
      const spaces = cutAt(/\p{White_Space}/gu, 'Removed')
      const marks = cutAt(punctuation, 'Isolated')
      return aligned => spaces(aligned).flatMap(marks)
    }
    case 'CharDelimiterSplit': {
      const delimiter = asString(settings.delimiter, at('delimiter'))
      return cutAt(compilePattern({ pattern: { String: delimiter }, ...at('delimiter') }), 'Removed')
    }
    default:
      throw unknownType({ what: 'pre-tokenizer', found: settings.type, known, ...at('type') })
  }
}

const whole: Step = aligned => (aligned.text === '' ? [] : [aligned])

function behaviorOf(name: string, where: Where): Behavior {
  const found = behaviors.find(behavior => behavior.toLowerCase() === name.toLowerCase())
  if (found !== undefined) return found
  throw unknownType({ what: 'split behavior', found: name, known: [...behaviors], ...where })
}

/** SentencePiece's spelling: spaces become `▁`, one is prepended to the text, and words start with theirs. */
function metaspace(settings: JsonObject, where: Where): Step {
  const at = (name: string) => ({ file: where.file, field: `${where.field}.${name}` })
  const mark = optionalString(settings.replacement, '▁', at('replacement'))
  const spaces = asFlag(settings.add_prefix_space, true, at('add_prefix_space'))
  const scheme = optionalString(settings.prepend_scheme, spaces ? 'always' : 'never', at('prepend_scheme'))
  if (!['always', 'first', 'never'].includes(scheme)) {
    throw unknownType({
      what: 'prepend scheme',
      found: scheme,
      known: ['always', 'first', 'never'],
      ...at('prepend_scheme'),
    })
  }
  const pattern = compilePattern({ pattern: { String: mark }, ...at('replacement') })
  const cutWords = asFlag(settings.split, true, at('split')) ? cutAt(pattern, 'MergedWithNext') : whole
  return aligned => {
    let text = replace(aligned, / /g, mark)
    const first = text.text !== '' && originalStart(text, 0) === 0
    if (!text.text.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && first)))
      text = prepend(text, mark)
    return cutWords(text)
  }
}

/** @param invert what is between the matches counts as the match */
function cutAt(pattern: RegExp, behavior: Behavior, invert = false): Step {
  return aligned => {
    const { text } = aligned
    const cuts: { start: number; end: number; match: boolean }[] = []
    let last = 0
    for (const [start, end] of findMatches(text, pattern)) {
      if (start > last) cuts.push({ start: last, end: start, match: invert })
      cuts.push({ start, end, match: !invert })
      last = end
    }
    if (last < text.length) cuts.push({ start: last, end: text.length, match: invert })
    return mergeCuts(cuts, behavior)
      .filter(({ start, end }) => end > start)
      .map(({ start, end }) => slice(aligned, start, end))
  }
}

type Cut = { start: number; end: number; match: boolean }

function mergeCuts(cuts: Cut[], behavior: Behavior): Cut[] {
  const merged: Cut[] = []
  switch (behavior) {
    case 'Isolated':
      return cuts
    case 'Removed':
      return cuts.filter(({ match }) => !match)
    case 'Contiguous':
      for (const cut of cuts) {
        const last = merged.at(-1)
        if (last !== undefined && last.match === cut.match) last.end = cut.end
        else merged.push({ ...cut })
      }
      return merged
    case 'MergedWithPrevious':
      cuts.forEach((cut, i) => {
        const last = merged.at(-1)
        if (cut.match && !(i > 0 && cuts[i - 1].match) && last !== undefined) last.end = cut.end
        else merged.push({ ...cut })
      })
      return merged
    case 'MergedWithNext':
      for (let i = cuts.length - 1; i >= 0; i--) {
        const last = merged.at(-1)
        if (cuts[i].match && !cuts[i + 1]?.match && last !== undefined) last.start = cuts[i].start
        else merged.push({ ...cuts[i] })
      }
      return merged.reverse()
  }
}

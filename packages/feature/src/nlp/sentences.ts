// A feature in one or two sentences: only what the counts show, with the counts.
import type { TokenShare } from '@mistudio/contract'

/** With fewer examples the sentences start by saying so. */
const fewExamples = 5
/** Share at which a word or part of speech is what the feature peaks on. */
const mostly = 1 / 2
/** Share at which a neighbour or a word of the windows is mentioned. */
const often = 1 / 3
/** Most words named of each kind. */
const named = 3

/** Singular and plural of the informative universal tags. */
const tagNames: Record<string, readonly [one: string, many: string]> = {
  ADJ: ['an adjective', 'adjectives'],
  ADP: ['a preposition', 'prepositions'],
  ADV: ['an adverb', 'adverbs'],
  AUX: ['an auxiliary verb', 'auxiliary verbs'],
  CCONJ: ['a conjunction', 'conjunctions'],
  DET: ['a determiner', 'determiners'],
  INTJ: ['an interjection', 'interjections'],
  NOUN: ['a noun', 'nouns'],
  NUM: ['a number', 'numbers'],
  PART: ['a particle', 'particles'],
  PRON: ['a pronoun', 'pronouns'],
  PROPN: ['a name', 'names'],
  PUNCT: ['punctuation', 'punctuation'],
  SCONJ: ['a conjunction', 'conjunctions'],
  SPACE: ['white space', 'white space'],
  SYM: ['a symbol', 'symbols'],
  VERB: ['a verb', 'verbs'],
}

type Counted = {
  examples: number
  /** The peak word, case-folded, and its tag, per example. */
  peaks: readonly { word: string; tag: string }[]
  peak_words: readonly TokenShare[]
  parts_of_speech: readonly TokenShare[]
  words: readonly TokenShare[]
  before: readonly TokenShare[]
  after: readonly TokenShare[]
}

export function sentences(counted: Counted): string {
  const { examples } = counted
  if (examples === 0) return 'No examples.'
  const few = examples < fewExamples ? [`Only ${examples} ${examples === 1 ? 'example' : 'examples'}.`] : []
  return [...few, `${peakPhrase(counted)}${neighbourPhrase(counted)}.`, ...windowSentence(counted)].join(' ')
}

function peakPhrase({ examples, peaks, peak_words, parts_of_speech }: Counted): string {
  const [first] = peak_words
  if (first === undefined) return 'The peaks have no text'
  if (first.share >= mostly) {
    const tags = peaks.filter(({ word }) => word === first.text.toLowerCase()).map(({ tag }) => tag)
    const [tag] = [...new Set(tags)].filter(
      one => tags.filter(other => other === one).length > mostly * tags.length,
    )
    const name = tagNames[tag]?.[0]
    return `Peaks on ${counts([first], examples)}${name === undefined ? '' : `, ${name}`}`
  }
  const repeated = peak_words.filter(({ count }) => count > 1).slice(0, named)
  const rest = repeated.reduce((sum, { count }) => sum - count, examples)
  const words =
    repeated.length === 0
      ? 'a different word each time'
      : counts(repeated, examples, rest > 0 ? ['others'] : [])
  const [tag] = parts_of_speech
  const names = tag.share > mostly ? tagNames[tag.text]?.[1] : undefined
  return `Peaks on ${words}${names === undefined ? '' : `, mostly ${names} (${tag.count} of ${examples})`}`
}

function neighbourPhrase({ before, after }: Counted): string {
  const told = [
    ...before.slice(0, 1).map(word => ({ where: 'after', ...word })),
    ...after.slice(0, 1).map(word => ({ where: 'before', ...word })),
  ].filter(isOften)
  const phrases = told.map(({ where, text, count }) => `${where} "${text}" (${count})`)
  return phrases.length === 0 ? '' : `; often ${phrases.join(', ')}`
}

function windowSentence({ examples, peak_words, words, before, after }: Counted): string[] {
  const told = new Set(
    [...peak_words, ...before.slice(0, 1), ...after.slice(0, 1)].map(({ text }) => text.toLowerCase()),
  )
  // A single letter or digit says little: `n 1` in a dictionary.
  const telling = words.filter(word => isOften(word) && word.text.length > 1)
  const found = telling.filter(({ text }) => !told.has(text.toLowerCase())).slice(0, named)
  return found.length === 0 ? [] : [`Its windows often contain ${counts(found, examples)}.`]
}

const isOften = ({ count, share }: TokenShare) => count > 1 && share >= often

/** `"unit" (14 of 20), "force" (5) and "mass" (4)` */
function counts(words: readonly TokenShare[], of: number, further: readonly string[] = []): string {
  const told = words.map(({ text, count }, i) => `"${text}" (${count}${i === 0 ? ` of ${of}` : ''})`)
  const items = [...told, ...further]
  const last = items.pop()!
  return items.length === 0 ? last : `${items.join(', ')} and ${last}`
}

// What the top examples of a feature have in common, counted: the words at the peak, their parts of speech,
// their neighbours, and the words and word sequences of the windows. All figures count examples.
import type { NlpSummary } from '@mistudio/contract'
import { sentences } from './sentences.ts'
import { createTally, folded } from './tally.ts'
import { type NlpExample, type Place, shown, windowText } from './window_text.ts'
import { createTagger, type Word } from './words.ts'

export type NlpAnalyser = {
  /** Depends only on the examples, not on earlier analyses. Shares are of all examples. */
  analyse(options: { examples: readonly NlpExample[] }): NlpSummary
}

/** Items of each list. */
export const nlpListLength = 10
/** Neighbours of the peaks are listed from this many examples: one is not a pattern. */
const leastExamples = 2

/** Loads the English model: about 0.2 s and 60 MB. */
export function createNlpAnalyser(): NlpAnalyser {
  const tagger = createTagger()
  return {
    analyse({ examples }) {
      tagger.forget()
      const tally = {
        peak_words: createTally(),
        parts_of_speech: createTally(),
        words: createTally(),
        bigrams: createTally(),
        trigrams: createTally(),
        before: createTally(),
        after: createTally(),
      }
      const peaks: { word: string; tag: string }[] = []
      for (const example of examples) {
        const { text, peak: place } = windowText(example)
        const words = tagger.words(text)
        tally.words.add(words.filter(word => !word.stop && isWord(word)).map(word => word.text))
        tally.bigrams.add(sequences({ text, words, length: 2 }))
        tally.trigrams.add(sequences({ text, words, length: 3 }))
        const peak = place === undefined ? undefined : peakWord({ text, words, place })
        if (peak === undefined) continue
        const before = words.findLast(({ end }) => end <= peak.start)
        const after = words.find(({ start }) => start >= peak.end)
        peaks.push({ word: folded(shown(peak.text)), tag: peak.tag })
        tally.peak_words.add([peak.text])
        tally.parts_of_speech.add([peak.tag])
        if (before !== undefined) tally.before.add([before.text])
        if (after !== undefined) tally.after.add([after.text])
      }
      const of = examples.length
      const all = { of, limit: nlpListLength }
      const common = { ...all, least: leastExamples }
      const lists = {
        peak_words: tally.peak_words.list(all),
        parts_of_speech: tally.parts_of_speech.list(all),
        words: tally.words.list(common),
        bigrams: tally.bigrams.list(common),
        trigrams: tally.trigrams.list(common),
        before: tally.before.list(common),
        after: tally.after.list(common),
      }
      return { examples: of, summary: sentences({ examples: of, peaks, ...lists }), ...lists }
    },
  }
}

/** The word under the first visible character of the peak token; a peak of only white space is itself the word. */
function peakWord(options: { text: string; words: readonly Word[]; place: Place }): Word | undefined {
  const { text, words, place } = options
  const token = text.slice(place.start, place.end)
  const visible = token.search(/\S/)
  if (visible < 0) return { ...place, text: token, tag: 'SPACE', stop: false }
  const at = place.start + visible
  return words.find(({ start, end }) => at >= start && at < end)
}

/** A word or number, not punctuation. */
const isSpoken = ({ text }: Word) => /[\p{L}\p{N}]/u.test(text)
/** Nor the `'s` or `n't` of one. */
const isWord = ({ text }: Word) => /^_*[\p{L}\p{N}]/u.test(text)

/** Every `length` consecutive words, as written, with single spaces. */
function* sequences(options: { text: string; words: readonly Word[]; length: number }): Generator<string> {
  const { text, words, length } = options
  let run = 0
  for (const [i, word] of words.entries()) {
    run = isSpoken(word) ? run + 1 : 0
    if (run < length) continue
    const row = words.slice(i + 1 - length, i + 1)
    if (row.some(({ stop }) => !stop)) {
      yield text.slice(row[0].start, word.end).replace(/\s+/g, ' ')
    }
  }
}

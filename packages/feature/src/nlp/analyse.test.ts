import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createNlpAnalyser, nlpListLength } from './analyse.ts'
import type { NlpExample } from './window_text.ts'

const analyser = createNlpAnalyser()

/** `the cgs [[unit]] of force`: tokens are cut before each space and each `|`; the peak is the bracketed one. */
function example(marked: string): NlpExample {
  const [before, peak, after] = marked.split(/\[\[|\]\]/)
  const tokens = (text: string) => text.split(/(?= )|\|/).filter(token => token !== '')
  const left = tokens(before)
  return { token_texts: [...left, peak, ...tokens(after)], position: 100 + left.length, window_start: 100 }
}

const analyse = (marked: string[]) => analyser.analyse({ examples: marked.map(example) })
const texts = (items: { text: string }[]) => items.map(({ text }) => text)

test('words, neighbours, sequences and parts of speech are counted in examples, and summed up', () => {
  const found = analyse([
    'the cgs[[ unit]] of force, a force; a force',
    'a cgs[[ unit]] of energy and force',
    'The CGS[[ unit]] of work.',
    'an old[[ unit]] of length',
    'they[[ gave]] of their force',
    'one[[ unit]]',
  ])
  expect(found.examples).toBe(6)
  expect(found.peak_words).toEqual([
    { text: 'unit', count: 5, share: 5 / 6 },
    { text: 'gave', count: 1, share: 1 / 6 },
  ])
  expect(found.parts_of_speech).toEqual([
    { text: 'NOUN', count: 5, share: 5 / 6 },
    { text: 'VERB', count: 1, share: 1 / 6 },
  ])
  expect(found.before).toEqual([{ text: 'cgs', count: 3, share: 0.5 }])
  expect(found.after).toEqual([{ text: 'of', count: 5, share: 5 / 6 }])
  // `force` occurs three times in one window, which counts as one example. Stop words and words of one window are not here.
  expect(found.words.map(({ text, count }) => [text, count])).toEqual([
    ['unit', 5],
    ['cgs', 3],
    ['force', 3],
  ])
  // No sequence of stop words, none across a comma. Case does not separate them.
  expect(texts(found.bigrams)).toEqual(['unit of', 'cgs unit', 'The CGS'])
  expect(texts(found.trigrams)).toEqual(['cgs unit of', 'The CGS unit'])
  expect(found.summary).toBe(
    'Peaks on "unit" (5 of 6), a noun; often after "cgs" (3), before "of" (5). ' +
      'Its windows often contain "force" (3 of 6).',
  )
})

test('a peak token may be a piece of a word, hold several words, or a piece of a character', () => {
  const peakWords = (marked: string) => texts(analyse([marked]).peak_words)
  expect(peakWords(' inter[[pret]]|ability')).toEqual(['interpretability'])
  expect(peakWords('a def[[ foo_]]|bar(x)')).toEqual(['foo_bar'])
  expect(peakWords('x [[= y;]] z')).toEqual(['='])
  expect(peakWords('it[[\n\tworks]] now')).toEqual(['works'])
  // The text of 日 is at the first of its three tokens.
  const split = { token_texts: ['a ', '日', '', '', ' b'], position: 3, window_start: 0 }
  expect(texts(analyser.analyse({ examples: [split] }).peak_words)).toEqual(['日'])
})

test('code: names stay whole, signs are neighbours, a line break is seen', () => {
  const { peak_words, before, after, bigrams, words } = analyse([
    'import os\n[[def]] read_all(self):\n    return self.x_1',
    'pass\n[[def]] write_all(self):\n    return self.x_1',
  ])
  expect(texts(peak_words)).toEqual(['def'])
  expect(before).toEqual([{ text: '⏎', count: 2, share: 1 }])
  expect(after).toEqual([])
  expect(texts(words)).toEqual(['def', 'return', 'self', 'x_1'])
  expect(texts(bigrams)).toEqual(['return self'])
})

test('scripture: old words, names and punctuation', () => {
  const found = analyse([
    'And he said[[ unto]] them, Go ye; for the LORD is',
    'and the LORD spake[[ unto]] Moses, saying, Go ye',
  ])
  expect(texts(found.peak_words)).toEqual(['unto'])
  expect(found.parts_of_speech).toEqual([{ text: 'ADP', count: 2, share: 1 }])
  // wink's own normal form would turn it into `yes`.
  expect(texts(found.words)).toEqual(['LORD', 'unto', 'ye'])
})

test('other scripts and signs keep their own text', () => {
  const peaks = [
    'naïve[[ café]] x',
    'да[[ мир]] и',
    'ok[[ 😀]] ok',
    "it's[[ 'quoted']]",
    'a\u00a0[[b]]\u2003c',
  ]
  expect(peaks.map(marked => analyse([marked]).peak_words[0].text)).toEqual(['café', 'мир', '😀', "'", 'b'])
  const spaced = analyse(['red\u00a0green[[ blue]]', 'red\u00a0green[[ blue]]'])
  expect(texts(spaced.bigrams)).toEqual(['green blue', 'red green'])
})

test('a peak of white space is shown by signs; one without text is no word', () => {
  const found = analyse(['end.[[\n    ]]b', 'stop.[[\n    ]]d', 'e[[  ]]f'])
  expect(texts(found.peak_words)).toEqual(['⏎␣␣␣␣', '␣␣'])
  expect(found.parts_of_speech).toEqual([{ text: 'SPACE', count: 3, share: 1 }])
  expect(found.before).toEqual([{ text: '.', count: 2, share: 2 / 3 }])
  expect(found.summary).toMatch(/^Only 3 examples\. Peaks on "⏎␣␣␣␣" \(2 of 3\), white space/)

  const lost = [
    { token_texts: [''], position: 0, window_start: 0 },
    { token_texts: ['a', 'b'], position: 9, window_start: 0 },
    { token_texts: [], position: 0, window_start: 0 },
  ]
  expect(analyser.analyse({ examples: lost })).toMatchObject({
    examples: 3,
    peak_words: [],
    summary: 'Only 3 examples. The peaks have no text.',
  })
})

test('few examples and scattered ones are said to be so', () => {
  expect(analyser.analyse({ examples: [] })).toEqual({
    examples: 0,
    summary: 'No examples.',
    ...{ peak_words: [], parts_of_speech: [], words: [], bigrams: [], trigrams: [], before: [], after: [] },
  })
  expect(analyse(['a[[ tree]] b']).summary).toBe('Only 1 example. Peaks on "tree" (1 of 1), a noun.')
  const scattered = ['tree', 'house', 'river', 'ran', 'dog'].map(word => `the[[ ${word}]].`)
  expect(analyse(scattered).summary).toBe(
    'Peaks on a different word each time, mostly nouns (4 of 5); often after "the" (5), before "." (5).',
  )
  const several = ['tree', 'tree', 'river', 'river', 'dog'].map(word => `[[${word}]]`)
  expect(analyse(several).summary).toBe(
    'Peaks on "river" (2 of 5), "tree" (2) and others, mostly nouns (5 of 5).',
  )
})

test('lists are short, equals stand in the order of their text, long words are cut', () => {
  const names = Array.from({ length: 15 }, (_, i) => `w${String.fromCharCode(111 - i)}`)
  const { peak_words } = analyse(names.map(name => `[[${name}]]`))
  expect(texts(peak_words)).toEqual([...names].sort().slice(0, nlpListLength))
  const [{ text }] = analyse([`[[${'x'.repeat(300)}]]`]).peak_words
  expect(text).toBe(`${'x'.repeat(79)}…`)
})

test('what was analysed before changes nothing', () => {
  // wink itself would split `zorblax's` after it has seen `zorblax`.
  const first = analyse(["the[[ zorblax's]] tail"])
  analyse(['a[[ zorblax]] tail', '@36[[ 36]] and 36'])
  expect(analyse(["the[[ zorblax's]] tail"])).toEqual(first)
  expect(analyse(['it has[[ 36]] of'])).toEqual(
    createNlpAnalyser().analyse({ examples: [example('it has[[ 36]] of')] }),
  )
})

test('any text gives counts within bounds and the same result twice', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom(
      ' ',
      '\n',
      '\r\n',
      '\ud800',
      '__proto__',
      'constructor',
      "n't",
      '…',
      '\u2028',
      ' the',
      '():',
    ),
  )
  const arbitrary = fc.record({ token_texts: fc.array(piece, { maxLength: 8 }), position: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 4 }), found => {
      const examples = found.map(one => ({ ...one, window_start: 0 }))
      const summary = analyser.analyse({ examples })
      expect(analyser.analyse({ examples })).toEqual(summary)
      for (const list of Object.values(summary).filter(Array.isArray)) {
        expect(list.length).toBeLessThanOrEqual(nlpListLength)
        for (const { count, share, text } of list) {
          expect(count).toBeGreaterThan(0)
          expect(share).toBe(count / examples.length)
          expect(share).toBeLessThanOrEqual(1)
          expect(text).not.toBe('')
        }
      }
    }),
    { numRuns: 100 },
  )
})

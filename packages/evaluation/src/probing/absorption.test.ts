// Absorption on planted dictionaries: a letter's latent fires for all its words, for all but those whose own
// latent carries the letter, or is split in two.

import { gaussianStream, randomStream } from '@mistudio/tensor'
import { describe, expect, test } from 'vitest'
import { type AbsorptionWord, absorption } from './absorption.ts'

const letters = ['a', 'b', 'c', 'd']
const d = 40
const wordsPerLetter = 60
/** Latents: the letters' own, a second half of each letter, then one for every word. */
const dSae = 2 * letters.length + letters.length * wordsPerLetter

type Kind = 'letter' | 'absorbed' | 'split'

/** x = letter direction + word direction + a little noise; the latents' activations depend on `kindOf`. */
function world(kindOf: (letter: string, word: number) => Kind) {
  const draw = gaussianStream({ seed: 2, purpose: 'world' })
  const side = randomStream({ seed: 2, purpose: 'side' })
  const direction = () => {
    const row = Float64Array.from({ length: d }, draw)
    const norm = Math.hypot(...row)
    return row.map(value => value / norm)
  }
  const decoder = new Float32Array(dSae * d)
  const words: AbsorptionWord[] = []
  letters.forEach((letter, l) => {
    const along = Float64Array.from({ length: d }, (_, j) => (j === l ? 1 : 0))
    decoder.set(along, l * d)
    decoder.set(along, (letters.length + l) * d)
    for (let w = 0; w < wordsPerLetter; w++) {
      const own = direction().map((value, j) => (j < letters.length ? 0 : value))
      const kind = kindOf(letter, w)
      const latent = 2 * letters.length + l * wordsPerLetter + w
      // The word's own latent also writes the letter if it has absorbed it.
      const absorbing = kind === 'absorbed'
      decoder.set(
        own.map((value, j) => value + (absorbing ? along[j] : 0)),
        latent * d,
      )
      const main = kind === 'split' && w % 2 === 1 ? letters.length + l : l
      words.push({
        word: `${letter}${w}`,
        letter,
        train: side() < 0.6,
        x: along.map((value, j) => 3 * value + 2 * own[j] + 0.05 * draw()),
        index: absorbing ? Int32Array.of(latent) : Int32Array.of(main, latent),
        value: absorbing ? Float64Array.of(3) : Float64Array.of(3, 2),
      })
    }
  })
  return { words, decoder, d }
}

describe('a letter whose latent', () => {
  test('fires for every word is not absorbed', () => {
    const report = absorption(world(() => 'letter'))
    expect(report.letters).toBe(4)
    expect(report).toMatchObject({
      mean_absorption_fraction_score: 0,
      mean_full_absorption_score: 0,
      mean_num_split_features: 1,
    })
    expect(report.per_letter.map(({ latents }) => latents)).toEqual([[0], [1], [2], [3]])
    expect(report.train_words + report.test_words).toBe(4 * wordsPerLetter)
  })

  test('is silent for a quarter of the words, whose own latents carry the letter, is absorbed in a quarter', () => {
    const setup = world((letter, w) => (letter === 'b' && w % 4 === 0 ? 'absorbed' : 'letter'))
    const { per_letter } = absorption(setup)
    const held = setup.words.filter(({ train, letter }) => !train && letter === 'b')
    const absorbed = held.filter(({ index }) => index.length === 1).length
    const b = per_letter.find(({ first_letter }) => first_letter === 'b')!
    expect(b.num_probe_true_positives).toBe(held.length)
    expect(b.num_full_absorption).toBe(absorbed)
    expect(b.full_absorption_rate).toBeCloseTo(absorbed / held.length, 12)
    expect(b.mean_absorption_fraction).toBeCloseTo(absorbed / held.length, 12)
    for (const other of per_letter.filter(one => one !== b)) expect(other.num_full_absorption).toBe(0)
  })

  test('is absorbed as much where rows of the decoder have other norms', () => {
    const setup = world((letter, w) => (letter === 'b' && w % 4 === 0 ? 'absorbed' : 'letter'))
    const rescaled = {
      ...setup,
      decoder: setup.decoder.map(value => value / 64),
      words: setup.words.map(word => ({ ...word, value: word.value.map(value => value * 64) })),
    }
    const figures = ({ per_letter }: ReturnType<typeof absorption>) =>
      per_letter.map(one => [one.num_full_absorption, one.mean_absorption_fraction])
    expect(figures(absorption(rescaled))).toEqual(figures(absorption(setup)))
  })

  test('is split in two has two latents, and that is no absorption', () => {
    const report = absorption(world(letter => (letter === 'c' ? 'split' : 'letter')))
    const c = report.per_letter.find(({ first_letter }) => first_letter === 'c')!
    expect(c.latents.toSorted((a, b) => a - b)).toEqual([2, letters.length + 2])
    expect(c).toMatchObject({ num_split_features: 2, num_full_absorption: 0, mean_absorption_fraction: 0 })
  })
})

test('the share of one word that is all there is of a letter is counted', () => {
  const setup = world((letter, w) => (letter === 'b' && w % 4 === 0 ? 'absorbed' : 'letter'))
  const absorbed = setup.words.find(
    ({ train, letter, index }) => !train && letter === 'b' && index.length === 1,
  )!
  const words = setup.words.filter(word => word.train || word.letter !== 'b' || word === absorbed)
  const report = absorption({ ...setup, words })
  expect(report.per_letter.find(({ first_letter }) => first_letter === 'b')).toMatchObject({
    num_probe_true_positives: 1,
    full_absorption_rate: 1,
    mean_absorption_fraction: 1,
  })
  // Over the four letters: one of 1, three of 0.
  expect(report.mean_full_absorption_score).toBe(0.25)
  expect(report.std_dev_full_absorption_score).toBeCloseTo(0.5, 12)
  expect(report.mean_absorption_fraction_score).toBe(0.25)
  expect(report.std_dev_absorption_fraction_score).toBeCloseTo(0.5, 12)
})

test('a letter that the probe does not know is not scored, and without letters nothing is', () => {
  const setup = world(() => 'letter')
  const draw = gaussianStream({ seed: 9, purpose: 'noise' })
  const unknown = setup.words.map(word => ({ ...word, x: word.x.map(() => draw()) }))
  const report = absorption({ ...setup, words: unknown })
  expect(report).toMatchObject({
    letters: 0,
    mean_full_absorption_score: null,
    std_dev_num_split_features: null,
  })
})

// k-sparse probing on planted latents, and what is held out.

import { gaussianStream } from '@mistudio/tensor'
import { expect, test } from 'vitest'
import { type ProbeExample, probe, splitByDocument } from './probing.ts'

const labels = ['a', 'b', 'c']
const dSae = 50

/** Class i nearly always activates latent 10 + i; in x it is spread over all coordinates. Two examples per document. */
function planted(options: { count: number; known?: boolean }): ProbeExample[] {
  const { count, known = true } = options
  const draw = gaussianStream({ seed: 1, purpose: 'planted' })
  return Array.from({ length: count }, (_, n) => {
    const label = n % labels.length
    const x = Float64Array.from({ length: 12 }, (_, j) => draw() + (known && j % 3 === label ? 1.2 : 0))
    const noise = [0, 1, 2].map(() => Math.floor(Math.abs(draw()) * 15) % 10)
    const lit = known && draw() > -1.6 ? [10 + label] : []
    const index = Int32Array.from([...new Set([...noise, ...lit])].sort((a, b) => a - b))
    return {
      label: labels[label],
      document: `document ${Math.floor(n / 6)}`,
      x,
      index,
      value: Float64Array.from(index, () => 1 + 0.1 * Math.abs(draw())),
    }
  })
}

test('one latent of a planted class suffices where no coordinate does', () => {
  const report = probe({ task: 'planted', examples: planted({ count: 600 }), dSae, seed: 0 })
  expect(report.classes).toEqual(labels)
  expect(report.per_class.map(({ latents }) => latents[0])).toEqual([10, 11, 12])
  expect(report.sae_top_1_test_accuracy).toBeGreaterThan(0.93)
  expect(report.llm_top_1_test_accuracy).toBeLessThan(0.85)
  expect(report.llm_test_accuracy).toBeGreaterThan(report.llm_top_1_test_accuracy!)
  expect(report.train_examples + report.test_examples).toBe(600)
  expect(probe({ task: 'planted', examples: planted({ count: 600 }), dSae, seed: 0 })).toEqual(report)
})

test('a latent counts wherever it stands among those that fire', () => {
  const examples = planted({ count: 600 }).map(one => {
    // Those of the classes first.
    const index = one.index.map(latent => (latent < 10 ? latent + 10 : latent - 10))
    const order = [...index.keys()].sort((a, b) => index[a] - index[b])
    return {
      ...one,
      index: Int32Array.from(order, i => index[i]),
      value: Float64Array.from(order, i => one.value[i]),
    }
  })
  const report = probe({ task: 'planted', examples, dSae, seed: 0 })
  expect(report.per_class.map(({ latents }) => latents[0])).toEqual([0, 1, 2])
})

test('labels that nothing tells apart are not told apart on what is held out', () => {
  const report = probe({ task: 'noise', examples: planted({ count: 900, known: false }), dSae, seed: 0 })
  for (const name of ['llm_test_accuracy', 'sae_test_accuracy', 'sae_top_5_test_accuracy'] as const) {
    expect(Math.abs(report[name]! - 0.5)).toBeLessThan(0.1)
  }
})

test('a document lies on one side of the split, whole', () => {
  const { train, test: held } = splitByDocument(planted({ count: 300 }), 3)
  const documents = new Set(train.map(({ document }) => document))
  expect(held.every(({ document }) => !documents.has(document))).toBe(true)
  expect(held.length / 300).toBeGreaterThan(0.1)
  expect(held.length / 300).toBeLessThan(0.45)
})

test('classes with too few examples are named and not scored', () => {
  const report = probe({ task: 'few', examples: planted({ count: 9 }), dSae, seed: 0 })
  expect(report).toMatchObject({ classes: labels, per_class: [], sae_top_1_test_accuracy: null })
})

import type { FeatureExample } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { examplesAsText, intensities, shownToken } from './heat.ts'

test('intensity is relative to the maximum of the example', () => {
  expect(intensities([0, 2, 8, -1])).toEqual([0, 0.25, 1, 0])
  expect(intensities([0, 0])).toEqual([0, 0])
  expect(intensities([])).toEqual([])
})

test('a line break can be seen', () => {
  expect(shownToken('\n')).toBe('⏎\n')
  expect(shownToken(' a\tb')).toBe(' a⇥\tb')
})

test('examples as text mark the peak and stay on one line each', () => {
  const example = {
    kind: 'top',
    rank: 0,
    peak_activation: 12.3456,
    dataset: 'scripture',
    document: 7,
    peak_index: 1,
    token_texts: ['In the\n', ' beginning', ' was'],
    activations: [0, 12.3456, 1],
  } as FeatureExample
  const feature = { feature: 42, sae_name: 'demo', model_name: 'm', hook_point: 'blocks.2.hook_resid_post' }
  expect(examplesAsText({ feature, examples: [example] })).toBe(
    'Feature 42 of demo (m, blocks.2.hook_resid_post)\n' +
      'top 1\t12.35\tscripture #7\tIn the ⏎ «beginning» was\n',
  )
})

// Requests for extractions, and the default name of a template.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { name } from '../base.ts'
import { extractionConfig, extractionRequest, extractionTemplateName } from './extraction.ts'

const nameOf = (changes: object) => extractionTemplateName(extractionConfig.parse(changes))

test.each([
  [{}, '250K tokens, 20 examples, context 24+16, with NLP'],
  [{ max_tokens: 999 }, '999 tokens, 20 examples, context 24+16, with NLP'],
  [{ max_tokens: 1500 }, '1.5K tokens, 20 examples, context 24+16, with NLP'],
  [{ max_tokens: 2_500_000 }, '2.5M tokens, 20 examples, context 24+16, with NLP'],
  [{ auto_nlp: false }, '250K tokens, 20 examples, context 24+16, no NLP'],
  [{ split: 'held_out' }, '250K held-out tokens, 20 examples, context 24+16, with NLP'],
  [
    { examples_per_feature: 7, context_prefix_tokens: 0, context_suffix_tokens: 3 },
    '250K tokens, 7 examples, context 0+3, with NLP',
  ],
])('the generated name of %j', (changes, wanted) => {
  expect(nameOf(changes)).toBe(wanted)
})

test('any configuration gives a name that can be stored', () => {
  const configs = fc.record({
    max_tokens: fc.integer({ min: 1, max: 1e12 }),
    examples_per_feature: fc.integer({ min: 1, max: 1000 }),
    context_prefix_tokens: fc.integer({ min: 0, max: 256 }),
    context_suffix_tokens: fc.integer({ min: 0, max: 256 }),
    split: fc.constantFrom('train', 'held_out'),
    auto_nlp: fc.boolean(),
  })
  fc.assert(
    fc.property(configs, config => {
      const made = nameOf(config)
      expect(name.parse(made)).toBe(made)
      expect(made).not.toMatch(/NaN|undefined|e\+/)
    }),
  )
})

test('a request names one SAE or several, never both', () => {
  const sae = `sae_${'0'.repeat(20)}`
  const dataset_ids = [`ds_${'0'.repeat(20)}`]
  const accepts = (body: object) => extractionRequest.safeParse({ dataset_ids, ...body }).success
  expect(accepts({ sae_id: sae })).toBe(true)
  expect(accepts({ sae_ids: [sae, sae] })).toBe(true)
  expect(accepts({})).toBe(false)
  expect(accepts({ sae_id: sae, sae_ids: [sae] })).toBe(false)
  expect(accepts({ sae_ids: [] })).toBe(false)
  expect(extractionRequest.parse({ dataset_ids, sae_id: sae }).config).toEqual(extractionConfig.parse({}))
})

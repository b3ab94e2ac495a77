// Rows of a finished extraction: the text around a feature's strongest activation, and what a search finds.
import type { NlpSummary } from '@mistudio/contract'
import type { Extraction } from '@mistudio/feature'
import { expect, test } from 'vitest'
import { featureRows, nlpSearchText } from './rows.ts'

const feature = (number: number) => ({
  ...{ feature: number, fired: 3, density: 0.25, max: 2, mean: 1.5, readability: 0.5, top_examples: 2 },
  ...{ peak_tokens: [' Sea'], top_tokens: number === 1 ? null : [' waves', '\0'] },
})
const extraction = {
  info: { features: 9 },
  features: async ({ limit }: { limit: number }) => [feature(1), feature(4)].slice(0, limit),
  strongest: async () => [
    { feature: 4, position: 12, window_start: 10, token_texts: ['over', ' the', ' Sea', ' and', ' back'] },
  ],
} as unknown as Extraction

test('the snippet is the text before the peak, the peak, and what follows; a search finds all of it', async () => {
  const [without, row] = await featureRows({ extraction, extractionId: 'extr_1' })
  expect(row).toMatchObject({ extraction_id: 'extr_1', feature: 4, fired: 3, density: 0.25, top_examples: 2 })
  expect(row.snippet).toEqual({ before: 'over the', peak: ' Sea', after: ' and back' })
  expect(row.search_text).toBe('4\n sea\n waves\n\nover the sea and back')
  expect(without.snippet).toBeNull()
  expect(without.search_text).toBe('1\n sea\n')
})

test('the analysis adds its summary, peak words and words, in lower case and without NUL', () => {
  const nlp = {
    summary: 'Fires on Water',
    peak_words: [{ text: 'Sea' }],
    words: [{ text: 'wa\0ve' }, { text: 'ship' }],
  } as unknown as NlpSummary
  expect(nlpSearchText(nlp)).toBe('\nfires on water\nsea\nwave\nship')
})

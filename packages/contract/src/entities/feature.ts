// Features of an extraction, one row each; examples are read from its Parquet file.
import { z } from 'zod'
import { count, featureId, idOf, paging, share } from '../base.ts'

/** A text, how many examples contain it, and their share of all examples. */
const tokenShare = z.strictObject({ text: z.string(), count, share })
export type TokenShare = z.infer<typeof tokenShare>

/** What a feature's examples have in common, counted. */
export const nlpSummary = z
  .strictObject({
    examples: count.meta({ description: 'top examples analysed' }),
    summary: z.string(),
    peak_words: z
      .array(tokenShare)
      .meta({ description: 'words that contain the peak token, commonest first' }),
    parts_of_speech: z
      .array(tokenShare)
      .meta({ description: 'universal part-of-speech tags of the peak words in their sentences' }),
    words: z.array(tokenShare).meta({ description: 'words of the windows, without stop words' }),
    bigrams: z.array(tokenShare),
    trigrams: z.array(tokenShare),
    before: z.array(tokenShare).meta({ description: 'the word before the peak word' }),
    after: z.array(tokenShare).meta({ description: 'the word after it' }),
  })
  .meta({ id: 'NlpSummary' })
export type NlpSummary = z.infer<typeof nlpSummary>

export const feature = z
  .strictObject({
    id: featureId,
    extraction_id: idOf('extraction'),
    feature: count.meta({ description: 'its number in the SAE' }),
    fired: count,
    density: z.number().nullable().meta({ description: 'firing tokens / unmasked tokens' }),
    max: z.number().nullable(),
    mean: z.number().nullable().meta({ description: 'of the activations above 0' }),
    readability: z.number().meta({ description: 'see the extraction’s definitions' }),
    top_examples: count,
    peak_tokens: z.array(z.string()).meta({ description: 'of the top examples, commonest first, at most 5' }),
    top_tokens: z.array(z.string()).nullable(),
    nlp_summary: z.string().nullable(),
    snippet: z
      .strictObject({ before: z.string(), peak: z.string(), after: z.string() })
      .nullable()
      .meta({ description: 'the strongest example' }),
  })
  .meta({ id: 'Feature' })
export type FeatureItem = z.infer<typeof feature>

export const featureExample = z
  .strictObject({
    kind: z.enum(['top', 'quantile']),
    rank: count.meta({ description: 'from 0, within its kind of examples; strongest first' }),
    peak_activation: z.number(),
    dataset: z.string(),
    document: count,
    source_row: count,
    context: count.meta({ description: 'its number in the split of its dataset' }),
    position: count.meta({ description: 'of the peak token in the context' }),
    peak_index: count.meta({ description: 'which of the tokens is the peak' }),
    token_texts: z.array(z.string()).meta({
      description:
        'one per token; if tokens split a character, its text is at the first and the others are empty',
    }),
    activations: z.array(z.number()),
  })
  .meta({ id: 'FeatureExample' })
export type FeatureExample = z.infer<typeof featureExample>

const logit = z.strictObject({ token_id: count, text: z.string(), logit: z.number() })

export const featureDetail = feature
  .extend({
    sae_id: idOf('sae'),
    sae_name: z.string(),
    model_name: z.string(),
    hook_point: z.string(),
    dataset_names: z.array(z.string()),
    split: z.string(),
    tokens: count.nullable().meta({ description: 'unmasked tokens behind density' }),
    histogram: z
      .array(z.strictObject({ low: z.number(), high: z.number().nullable(), tokens: count }))
      .meta({ description: 'firing tokens by activation, bins of powers of two' }),
    top_logits: z
      .array(logit)
      .nullable()
      .meta({ description: 'null if the hook is not in the residual stream' }),
    bottom_logits: z.array(logit).nullable(),
    nlp: nlpSummary.nullable(),
    examples: z.array(featureExample),
  })
  .meta({ id: 'FeatureDetail' })
export type FeatureDetail = z.infer<typeof featureDetail>

export const featureSorts = ['readability', 'density', 'max', 'mean', 'feature'] as const

export const featureQuery = paging.extend({
  extraction_id: idOf('extraction'),
  search: z
    .string()
    .max(500)
    .optional()
    .meta({ description: 'text in peak tokens, logits, words or number' }),
  sort_by: z.enum(featureSorts).default('readability'),
  sort_order: z.enum(['asc', 'desc']).default('desc'),
  min_density: z.coerce.number().min(0).max(1).optional(),
  max_density: z.coerce.number().min(0).max(1).optional(),
  min_max: z.coerce.number().optional().meta({ description: 'lower bound of the largest activation' }),
  max_max: z.coerce.number().optional(),
})
export type FeatureQuery = z.infer<typeof featureQuery>

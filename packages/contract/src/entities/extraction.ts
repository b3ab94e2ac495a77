// Extractions: one SAE over text to features. A batch is several, one after the other.
import { z } from 'zod'
import { count, hookType, idOf, layer, name, share, time } from '../base.ts'
import { extractionMachine, nlpMachine, stages, statesOf } from '../states.ts'
import { contextSize } from './dataset.ts'

export const extractionConfig = z
  .strictObject({
    max_tokens: z
      .number()
      .int()
      .min(1)
      .max(1e12)
      .default(250_000)
      .meta({ description: 'tokens to read, at most' }),
    context_size: contextSize.optional().meta({
      description:
        'tokens per context; default: as the SAE was trained. The extraction reports the value used',
    }),
    examples_per_feature: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .meta({ description: 'top examples kept' }),
    split: z.enum(['train', 'held_out']).default('train').meta({ description: 'documents to read' }),
    context_prefix_tokens: z
      .number()
      .int()
      .min(0)
      .max(256)
      .default(24)
      .meta({ description: 'tokens shown before the peak' }),
    context_suffix_tokens: z
      .number()
      .int()
      .min(0)
      .max(256)
      .default(16)
      .meta({ description: 'tokens shown after it' }),
    auto_nlp: z
      .boolean()
      .default(true)
      .meta({ description: 'analyse the examples when the extraction is done' }),
    seed: z.number().int().min(0).max(0xffff_ffff).default(0),
  })
  .meta({ id: 'ExtractionConfig' })
export type ExtractionConfig = z.infer<typeof extractionConfig>

export const extractionRequest = z
  .strictObject({
    sae_id: idOf('sae').optional(),
    sae_ids: z
      .array(idOf('sae'))
      .min(1)
      .max(50)
      .optional()
      .meta({ description: 'several SAEs: a batch, in this order, one at a time' }),
    dataset_ids: z.array(idOf('dataset')).min(1).max(50),
    config: extractionConfig.prefault({}),
  })
  .refine(({ sae_id, sae_ids }) => (sae_id === undefined) !== (sae_ids === undefined), {
    path: ['sae_ids'],
    message: 'either sae_id or sae_ids',
  })
  .meta({ id: 'ExtractionRequest' })
export type ExtractionRequest = z.infer<typeof extractionRequest>

/** The counters of a progress event (increment §B). */
export const extractionProgress = {
  progress: share.meta({ description: 'samples_processed / total_samples' }),
  current_batch: count,
  total_batches: count,
  samples_processed: count.meta({ description: 'contexts of the token store' }),
  total_samples: count,
  samples_per_second: z.number().min(0).meta({ description: 'over the last seconds' }),
  mean_samples_per_second: z.number().min(0).meta({ description: 'over the whole run' }),
  eta_seconds: count.nullable().meta({ description: 'remaining samples over the rate; null while unknown' }),
  features_in_heap: count.meta({ description: 'features with at least one top example' }),
  heap_examples_count: count.meta({ description: 'top examples over all features' }),
}

export const extraction = z
  .strictObject({
    id: idOf('extraction'),
    sae_id: idOf('sae'),
    sae_name: name,
    training_id: idOf('training').nullable(),
    model_id: idOf('model'),
    model_name: name,
    hook_point: z.string(),
    layer: layer.nullable(),
    hook_type: hookType.nullable(),
    dataset_ids: z.array(idOf('dataset')),
    dataset_names: z.array(name),
    config: extractionConfig,
    status: z.enum(statesOf(extractionMachine)),
    nlp_status: z.enum(statesOf(nlpMachine)).nullable().meta({ description: 'null: no analysis requested' }),
    stage: z.enum(stages),
    batch_id: idOf('batch').nullable(),
    batch_position: count.nullable().meta({ description: 'from 1' }),
    batch_total: count.nullable(),
    ...extractionProgress,
    nlp_progress: share,
    nlp_processed_count: count,
    features: count.nullable().meta({ description: 'd_sae; null until completed' }),
    features_alive: count.nullable().meta({ description: 'features that fired' }),
    tokens: count.nullable().meta({ description: 'unmasked tokens read' }),
    complete: z.boolean().nullable().meta({ description: 'false: stopped early, keeping what was read' }),
    job_id: idOf('job').nullable(),
    error_message: z.string().nullable(),
    nlp_error_message: z.string().nullable(),
    created_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
  })
  .meta({ id: 'Extraction' })
export type Extraction = z.infer<typeof extraction>

export const extractionsCreated = z
  .strictObject({
    batch_id: idOf('batch').nullable(),
    created: z.array(extraction),
    skipped: z.array(
      z.strictObject({ sae_id: z.string(), sae_name: z.string().nullable(), reason: z.string() }),
    ),
  })
  .meta({ id: 'ExtractionsCreated' })

/** The default name of a template with this configuration. */
export function extractionTemplateName(config: ExtractionConfig): string {
  const tokens =
    config.max_tokens >= 1e6
      ? `${+(config.max_tokens / 1e6).toFixed(2)}M`
      : config.max_tokens >= 1000
        ? `${+(config.max_tokens / 1000).toFixed(1)}K`
        : String(config.max_tokens)
  return [
    `${tokens} ${config.split === 'held_out' ? 'held-out ' : ''}tokens`,
    `${config.examples_per_feature} examples`,
    `context ${config.context_prefix_tokens}+${config.context_suffix_tokens}`,
    config.auto_nlp ? 'with NLP' : 'no NLP',
  ].join(', ')
}

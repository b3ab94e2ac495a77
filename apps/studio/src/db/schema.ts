// The tables. Columns have wire names; paths are relative to the data folder (a model's may be absolute). What a
// person sees of these rows is in @mistudio/contract; `migrations.ts` makes them.

import type {
  ExtractionConfig,
  ExtractionStatus,
  HookType,
  Hyperparameters,
  JobKind,
  JobStatus,
  NlpStatus,
  NlpSummary,
  Tokenization,
  TokenizationStatus,
  Training,
  TrainingMember,
  TrainingStatus,
} from '@mistudio/contract'
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

/** Of a `finalise` job the checkpoint's step, of a `retry` job the SAE. */
export type JobInput = { step?: number; member?: string }

const id = () => text('id').primaryKey()
const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const createdAt = () => at('created_at').notNull().defaultNow()
const whole = (name: string) => bigint(name, { mode: 'number' })

/** What the database says of itself: `schema_version`. */
export const meta = pgTable('meta', { key: text('key').primaryKey(), value: text('value').notNull() })

export const datasets = pgTable('datasets', {
  id: id(),
  name: text('name').notNull(),
  source: text('source').$type<'upload' | 'demo'>().notNull(),
  format: text('format').notNull(),
  status: text('status').$type<'ready' | 'error'>().notNull(),
  path: text('path').notNull(),
  size_bytes: whole('size_bytes').notNull(),
  documents: whole('documents').notNull(),
  bad_lines: whole('bad_lines').notNull().default(0),
  text_field: text('text_field'),
  error_message: text('error_message'),
  created_at: createdAt(),
})

export const models = pgTable('models', {
  id: id(),
  name: text('name').notNull(),
  source: text('source').$type<'local' | 'demo'>().notNull(),
  path: text('path').notNull(),
  architecture: text('architecture').notNull(),
  status: text('status').$type<'ready' | 'error'>().notNull(),
  params_count: whole('params_count').notNull(),
  layers: integer('layers').notNull(),
  d_model: integer('d_model').notNull(),
  vocab_size: integer('vocab_size').notNull(),
  context_length: integer('context_length').notNull(),
  hook_types: jsonb('hook_types').$type<HookType[]>().notNull(),
  error_message: text('error_message'),
  created_at: createdAt(),
})

export const tokenizations = pgTable(
  'tokenizations',
  {
    id: id(),
    dataset_id: text('dataset_id')
      .notNull()
      .references(() => datasets.id),
    model_id: text('model_id')
      .notNull()
      .references(() => models.id),
    context_size: integer('context_size').notNull(),
    status: text('status').$type<TokenizationStatus>().notNull(),
    progress: doublePrecision('progress').notNull().default(0),
    /** The token store; null until ready. */
    path: text('path'),
    vocab_size: integer('vocab_size'),
    splits: jsonb('splits').$type<NonNullable<Tokenization['splits']>>(),
    job_id: text('job_id'),
    error_message: text('error_message'),
    created_at: createdAt(),
    completed_at: at('completed_at'),
  },
  // One that failed or was cancelled does not stand in the way of the next.
  table => [
    uniqueIndex('tokenizations_once')
      .on(table.dataset_id, table.model_id, table.context_size)
      .where(sql`status in ('queued', 'tokenizing', 'ready')`),
  ],
)

export const trainings = pgTable('trainings', {
  id: id(),
  name: text('name').notNull(),
  model_id: text('model_id')
    .notNull()
    .references(() => models.id),
  dataset_ids: jsonb('dataset_ids').$type<string[]>().notNull(),
  layers: jsonb('layers').$type<number[]>().notNull(),
  hook_types: jsonb('hook_types').$type<HookType[]>().notNull(),
  output_hook_type: text('output_hook_type').$type<HookType>(),
  dataset_weights: jsonb('dataset_weights').$type<number[]>(),
  hyperparameters: jsonb('hyperparameters').$type<Hyperparameters>().notNull(),
  sweep: jsonb('sweep').$type<Training['sweep']>().notNull().default({}),
  status: text('status').$type<TrainingStatus>().notNull(),
  kept: boolean('kept').notNull().default(false),
  progress: doublePrecision('progress').notNull().default(0),
  step: whole('step').notNull().default(0),
  total_steps: whole('total_steps'),
  tokens: whole('tokens').notNull().default(0),
  tokens_per_second: doublePrecision('tokens_per_second'),
  eta_seconds: integer('eta_seconds'),
  memory_bytes: whole('memory_bytes'),
  outlier_tokens: jsonb('outlier_tokens').$type<Record<string, number>>().notNull().default({}),
  saes: jsonb('saes').$type<TrainingMember[]>().notNull(),
  /** Folder of the finished run, a folder for each SAE by its name; null until there are SAEs. */
  path: text('path'),
  job_id: text('job_id'),
  error_message: text('error_message'),
  created_at: createdAt(),
  started_at: at('started_at'),
  completed_at: at('completed_at'),
})

export const saes = pgTable(
  'saes',
  {
    id: id(),
    name: text('name').notNull(),
    source: text('source').$type<'training' | 'folder'>().notNull(),
    training_id: text('training_id').references(() => trainings.id),
    /** Its name within its training, and the step of the checkpoint it was made of; null: the training's end. */
    member: text('member'),
    checkpoint: whole('checkpoint'),
    model_id: text('model_id')
      .notNull()
      .references(() => models.id),
    hook_point: text('hook_point').notNull(),
    layer: integer('layer'),
    hook_type: text('hook_type').$type<HookType>(),
    architecture: text('architecture').notNull(),
    d_in: integer('d_in').notNull(),
    d_sae: integer('d_sae').notNull(),
    k: integer('k'),
    status: text('status').$type<'ready' | 'error'>().notNull(),
    path: text('path').notNull(),
    error_message: text('error_message'),
    created_at: createdAt(),
  },
  // Two imports at once cannot both make an SAE of a training.
  table => [
    uniqueIndex('saes_member_once')
      .on(table.training_id, table.member, sql`coalesce(checkpoint, -1)`)
      .where(sql`training_id is not null`),
  ],
)

export const extractions = pgTable(
  'extractions',
  {
    id: id(),
    sae_id: text('sae_id')
      .notNull()
      .references(() => saes.id),
    training_id: text('training_id'),
    model_id: text('model_id')
      .notNull()
      .references(() => models.id),
    dataset_ids: jsonb('dataset_ids').$type<string[]>().notNull(),
    config: jsonb('config').$type<ExtractionConfig>().notNull(),
    status: text('status').$type<ExtractionStatus>().notNull(),
    nlp_status: text('nlp_status').$type<NlpStatus>(),
    batch_id: text('batch_id'),
    batch_position: integer('batch_position'),
    batch_total: integer('batch_total'),
    progress: doublePrecision('progress').notNull().default(0),
    current_batch: whole('current_batch').notNull().default(0),
    total_batches: whole('total_batches').notNull().default(0),
    samples_processed: whole('samples_processed').notNull().default(0),
    total_samples: whole('total_samples').notNull().default(0),
    samples_per_second: doublePrecision('samples_per_second').notNull().default(0),
    mean_samples_per_second: doublePrecision('mean_samples_per_second').notNull().default(0),
    eta_seconds: integer('eta_seconds'),
    features_in_heap: whole('features_in_heap').notNull().default(0),
    heap_examples_count: whole('heap_examples_count').notNull().default(0),
    nlp_progress: doublePrecision('nlp_progress').notNull().default(0),
    nlp_processed_count: whole('nlp_processed_count').notNull().default(0),
    features: whole('features'),
    features_alive: whole('features_alive'),
    tokens: whole('tokens'),
    complete: boolean('complete'),
    /** Folder with extraction.json and the Parquet files; null until completed. */
    path: text('path'),
    job_id: text('job_id'),
    nlp_job_id: text('nlp_job_id'),
    error_message: text('error_message'),
    nlp_error_message: text('nlp_error_message'),
    created_at: createdAt(),
    started_at: at('started_at'),
    completed_at: at('completed_at'),
  },
  table => [index('extractions_batch').on(table.batch_id)],
)

export const features = pgTable(
  'features',
  {
    extraction_id: text('extraction_id')
      .notNull()
      .references(() => extractions.id, { onDelete: 'cascade' }),
    feature: integer('feature').notNull(),
    fired: whole('fired').notNull(),
    density: doublePrecision('density'),
    max: doublePrecision('max'),
    mean: doublePrecision('mean'),
    readability: doublePrecision('readability').notNull(),
    top_examples: integer('top_examples').notNull(),
    peak_tokens: jsonb('peak_tokens').$type<string[]>().notNull(),
    top_tokens: jsonb('top_tokens').$type<string[]>(),
    snippet: jsonb('snippet').$type<{ before: string; peak: string; after: string }>(),
    nlp: jsonb('nlp').$type<NlpSummary>(),
    nlp_summary: text('nlp_summary'),
    /** What a search looks at: number, peak tokens, logit tokens, words of the analysis; lower case. */
    search_text: text('search_text').notNull(),
  },
  table => [
    primaryKey({ columns: [table.extraction_id, table.feature] }),
    index('features_readability').on(table.extraction_id, table.readability, table.feature),
    index('features_density').on(table.extraction_id, table.density, table.feature),
    index('features_max').on(table.extraction_id, table.max, table.feature),
    index('features_search').using('gin', sql`search_text gin_trgm_ops`),
  ],
)

export const templates = pgTable('templates', {
  id: id(),
  kind: text('kind').$type<'extraction'>().notNull(),
  name: text('name').notNull(),
  description: text('description').notNull(),
  config: jsonb('config').$type<ExtractionConfig>().notNull(),
  extra_metadata: jsonb('extra_metadata').$type<Record<string, unknown>>().notNull(),
  created_at: createdAt(),
})

export const jobs = pgTable(
  'jobs',
  {
    id: id(),
    kind: text('kind').$type<JobKind>().notNull(),
    /** `training/train_…`: also the channel of its events. */
    entity: text('entity').notNull(),
    title: text('title').notNull(),
    status: text('status').$type<JobStatus>().notNull(),
    progress: doublePrecision('progress').notNull().default(0),
    /** Starts so far; a runner writes into attempt-N/ and only the current attempt's results are taken. */
    attempt: integer('attempt').notNull().default(0),
    /** Attempts that ended in a crash since the last one that got further. */
    crashes: integer('crashes').notNull().default(0),
    needs: jsonb('needs').$type<string[]>().notNull(),
    after: jsonb('after').$type<string[]>().notNull(),
    /** What the job is to do, where its entity does not say it: `{ step }`, `{ member }`. */
    input: jsonb('input').$type<JobInput>(),
    /** What was asked of a running job. */
    request: text('request').$type<'pause' | 'stop' | 'cancel'>(),
    /** The host that runs it, and until when it is believed alive. */
    host: text('host'),
    lease_until: at('lease_until'),
    /** The runner's process and when it started: a pid alone may be another process by now. */
    runner_pid: integer('runner_pid'),
    runner_started: text('runner_started'),
    error_message: text('error_message'),
    created_at: createdAt(),
    started_at: at('started_at'),
    ended_at: at('ended_at'),
  },
  table => [index('jobs_status').on(table.status)],
)

/** One row a channel: its sequence number is taken and given in the transaction that inserts the event. */
export const channels = pgTable('channels', {
  channel: text('channel').primaryKey(),
  seq: whole('seq').notNull(),
})

export const events = pgTable(
  'events',
  {
    channel: text('channel').notNull(),
    seq: whole('seq').notNull(),
    event: text('event').notNull(),
    data: jsonb('data').$type<Record<string, unknown>>().notNull(),
    at: at('at').notNull().defaultNow(),
  },
  table => [primaryKey({ columns: [table.channel, table.seq] })],
)

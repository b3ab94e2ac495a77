// The steps that make the tables of schema.ts, written by hand. Each step says what must be there; migrate.ts looks
// before it changes anything. A released version is never edited: what comes later is a new version with new steps.

export type Step =
  | { kind: 'extension'; name: string }
  /** Columns by name, as in CREATE TABLE. Those that a table lacks are added, nullability is set as it says here. */
  | { kind: 'table'; table: string; columns: Record<string, string> }
  /** PRIMARY KEY, FOREIGN KEY, UNIQUE or CHECK. */
  | { kind: 'constraint'; table: string; name: string; definition: string }
  /** `definition`: what follows ON table. */
  | { kind: 'index'; table: string; name: string; unique?: boolean; definition: string }
  | { kind: 'no_index'; name: string }
  /** A statement that changes rows and finds none the second time. */
  | { kind: 'rows'; statement: string }

export type Migration = { version: number; steps: Step[] }

/** A table and its primary key, named as Postgres would. */
const table = (name: string, primaryKey: string, columns: Record<string, string>): Step[] => [
  { kind: 'table', table: name, columns },
  {
    kind: 'constraint',
    table: name,
    name: `${name}_pkey`,
    definition: `primary key (${primaryKey})`,
  },
]

const text = 'text not null'
const json = 'jsonb not null'
const whole = 'bigint not null'
const integer = 'integer not null'
const share = 'double precision not null default 0'
const counter = 'bigint not null default 0'
const time = 'timestamp with time zone'
const now = `${time} not null default now()`

/** Named as drizzle names them. */
const reference = (from: string, column: string, to: string, rest = ''): Step => ({
  kind: 'constraint',
  table: from,
  name: `${from}_${column}_${to}_id_fk`,
  definition: `foreign key (${column}) references ${to} (id)${rest}`,
})

const index = (on: string, name: string, definition: string, unique = false): Step => ({
  kind: 'index',
  table: on,
  name,
  unique,
  definition,
})

/** Hyperparameters were flat and knew TopK alone. */
const settingsOfBefore = `
  update trainings set hyperparameters =
    (hyperparameters - '{architecture,k,learning_rate,normalisation}'::text[]) || jsonb_build_object(
      'family', hyperparameters->'architecture',
      'recipe', null,
      'settings', jsonb_strip_nulls(jsonb_build_object(
        'k', hyperparameters->'k',
        'learning_rate', hyperparameters->'learning_rate',
        'normalisation', hyperparameters->'normalisation')),
      'run', '{}'::jsonb)
  where jsonb_exists(hyperparameters, 'architecture')`

/** A member of before, `m`, with what members have now. */
const memberOfBefore = `m || jsonb_build_object(
  'name', m->'hook_point', 'family', 'topk', 'variant', '{}'::jsonb,
  'inputs', jsonb_build_array(m->'hook_point'), 'outputs', jsonb_build_array(m->'hook_point'),
  'd_sae', t.hyperparameters->'d_sae', 'error_message', null,
  'metrics', m - '{hook_point,layer,hook_type}'::text[],
  'l0_histogram', null, 'density_histogram', null, 'warnings', '[]'::jsonb)`
const isOfBefore = (saes: string) => `${saes} @? '$[*] ? (!exists(@.name))'`

const membersOfBefore = `
  update trainings t set saes = (
    select jsonb_agg(${memberOfBefore} || jsonb_build_object('step', t.step, 'status', case t.status
      when 'completed' then 'completed' when 'failed' then 'failed' when 'cancelled' then 'stopped'
      when 'running' then 'training' else 'pending' end) order by position)
    from jsonb_array_elements(t.saes) with ordinality as list(m, position))
  where ${isOfBefore('t.saes')}`

const membersOfEventsBefore = `
  update events e set data = jsonb_set(e.data, '{saes}', (
    select jsonb_agg(${memberOfBefore} || jsonb_build_object('step', e.data->'step', 'status', case e.event
      when 'training:completed' then 'completed' else 'training' end) order by position)
    from jsonb_array_elements(e.data->'saes') with ordinality as list(m, position)))
  from trainings t
  where e.channel = 'training/' || t.id and jsonb_exists(e.data, 'saes') and ${isOfBefore("(e.data->'saes')")}`

export const migrations: Migration[] = [
  {
    version: 1,
    steps: [
      { kind: 'extension', name: 'pg_trgm' },
      ...table('meta', 'key', { key: text, value: text }),
      ...table('datasets', 'id', {
        id: text,
        name: text,
        source: text,
        format: text,
        status: text,
        path: text,
        size_bytes: whole,
        documents: whole,
        bad_lines: counter,
        text_field: 'text',
        error_message: 'text',
        created_at: now,
      }),
      ...table('models', 'id', {
        id: text,
        name: text,
        source: text,
        path: text,
        architecture: text,
        status: text,
        params_count: whole,
        layers: integer,
        d_model: integer,
        vocab_size: integer,
        context_length: integer,
        hook_types: json,
        error_message: 'text',
        created_at: now,
      }),
      ...table('tokenizations', 'id', {
        id: text,
        dataset_id: text,
        model_id: text,
        context_size: integer,
        status: text,
        progress: share,
        path: 'text',
        vocab_size: 'integer',
        splits: 'jsonb',
        job_id: 'text',
        error_message: 'text',
        created_at: now,
        completed_at: time,
      }),
      ...table('trainings', 'id', {
        id: text,
        name: text,
        model_id: text,
        dataset_ids: json,
        layers: json,
        hook_types: json,
        hyperparameters: json,
        status: text,
        kept: 'boolean not null default false',
        progress: share,
        step: counter,
        total_steps: 'bigint',
        tokens: counter,
        tokens_per_second: 'double precision',
        eta_seconds: 'integer',
        saes: json,
        path: 'text',
        job_id: 'text',
        error_message: 'text',
        created_at: now,
        started_at: time,
        completed_at: time,
      }),
      ...table('saes', 'id', {
        id: text,
        name: text,
        source: text,
        training_id: 'text',
        model_id: text,
        hook_point: text,
        layer: 'integer',
        hook_type: 'text',
        architecture: text,
        d_in: integer,
        d_sae: integer,
        k: 'integer',
        status: text,
        path: text,
        error_message: 'text',
        created_at: now,
      }),
      ...table('extractions', 'id', {
        id: text,
        sae_id: text,
        training_id: 'text',
        model_id: text,
        dataset_ids: json,
        config: json,
        status: text,
        nlp_status: 'text',
        batch_id: 'text',
        batch_position: 'integer',
        batch_total: 'integer',
        progress: share,
        current_batch: counter,
        total_batches: counter,
        samples_processed: counter,
        total_samples: counter,
        samples_per_second: share,
        mean_samples_per_second: share,
        eta_seconds: 'integer',
        features_in_heap: counter,
        heap_examples_count: counter,
        nlp_progress: share,
        nlp_processed_count: counter,
        features: 'bigint',
        features_alive: 'bigint',
        tokens: 'bigint',
        complete: 'boolean',
        path: 'text',
        job_id: 'text',
        nlp_job_id: 'text',
        error_message: 'text',
        nlp_error_message: 'text',
        created_at: now,
        started_at: time,
        completed_at: time,
      }),
      ...table('features', 'extraction_id, feature', {
        extraction_id: text,
        feature: integer,
        fired: whole,
        density: 'double precision',
        max: 'double precision',
        mean: 'double precision',
        readability: 'double precision not null',
        top_examples: integer,
        peak_tokens: json,
        top_tokens: 'jsonb',
        snippet: 'jsonb',
        nlp: 'jsonb',
        nlp_summary: 'text',
        search_text: text,
      }),
      ...table('templates', 'id', {
        id: text,
        kind: text,
        name: text,
        description: text,
        config: json,
        extra_metadata: json,
        created_at: now,
      }),
      ...table('jobs', 'id', {
        id: text,
        kind: text,
        entity: text,
        title: text,
        status: text,
        progress: share,
        attempt: 'integer not null default 0',
        crashes: 'integer not null default 0',
        needs: json,
        after: json,
        request: 'text',
        host: 'text',
        lease_until: time,
        runner_pid: 'integer',
        runner_started: 'text',
        error_message: 'text',
        created_at: now,
        started_at: time,
        ended_at: time,
      }),
      ...table('channels', 'channel', { channel: text, seq: whole }),
      ...table('events', 'channel, seq', { channel: text, seq: whole, event: text, data: json, at: now }),

      reference('tokenizations', 'dataset_id', 'datasets'),
      reference('tokenizations', 'model_id', 'models'),
      reference('trainings', 'model_id', 'models'),
      reference('saes', 'training_id', 'trainings'),
      reference('saes', 'model_id', 'models'),
      reference('extractions', 'sae_id', 'saes'),
      reference('extractions', 'model_id', 'models'),
      reference('features', 'extraction_id', 'extractions', ' on delete cascade'),

      index(
        'tokenizations',
        'tokenizations_once',
        `(dataset_id, model_id, context_size) where status in ('queued', 'tokenizing', 'ready')`,
        true,
      ),
      index('saes', 'saes_once', '(training_id, hook_point) where training_id is not null', true),
      index('extractions', 'extractions_batch', '(batch_id)'),
      index('features', 'features_readability', '(extraction_id, readability, feature)'),
      index('features', 'features_density', '(extraction_id, density, feature)'),
      index('features', 'features_max', '(extraction_id, max, feature)'),
      index('features', 'features_search', 'using gin (search_text gin_trgm_ops)'),
      index('jobs', 'jobs_status', '(status)'),
    ],
  },
  // Families: a training's settings are a record, its SAEs have names, several may share a hook point.
  {
    version: 2,
    steps: [
      {
        kind: 'table',
        table: 'trainings',
        columns: {
          output_hook_type: 'text',
          dataset_weights: 'jsonb',
          sweep: "jsonb not null default '{}'",
        },
      },
      { kind: 'table', table: 'saes', columns: { member: 'text', checkpoint: 'bigint' } },
      { kind: 'rows', statement: settingsOfBefore },
      { kind: 'rows', statement: membersOfBefore },
      { kind: 'rows', statement: membersOfEventsBefore },
      {
        kind: 'rows',
        statement: 'update saes set member = hook_point where training_id is not null and member is null',
      },
      { kind: 'no_index', name: 'saes_once' },
      index(
        'saes',
        'saes_member_once',
        '(training_id, member, coalesce(checkpoint, -1)) where training_id is not null',
        true,
      ),
    ],
  },
  {
    version: 3,
    steps: [{ kind: 'table', table: 'jobs', columns: { input: 'jsonb' } }],
  },
  // What a training tells of its memory and of tokens left out is kept.
  {
    version: 4,
    steps: [
      {
        kind: 'table',
        table: 'trainings',
        columns: { memory_bytes: 'bigint', outlier_tokens: "jsonb not null default '{}'" },
      },
      {
        kind: 'rows',
        statement: `update events set data = data || '{"memory_bytes": null, "outlier_tokens": {}}'
          where event = 'training:progress' and not jsonb_exists(data, 'memory_bytes')`,
      },
      {
        kind: 'rows',
        statement: `update events set data = data || '{"outlier_tokens": {}}'
          where event = 'training:completed' and not jsonb_exists(data, 'outlier_tokens')`,
      },
    ],
  },
]

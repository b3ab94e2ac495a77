// The data of the test server: a studio in the middle of its work, typed by the contract.
import {
  type Advice,
  type Checkpoint,
  type Dataset,
  type Extraction,
  extractionConfig,
  type HookType,
  hookPointOf,
  type IdKind,
  idPrefixes,
  type Model,
  type RequestOf,
  type Sae,
  type Tokenization,
  type Training,
  type TrainingMember,
} from '@mistudio/contract'

export const idOf = (kind: IdKind, number: number) =>
  `${idPrefixes[kind]}_${String(number).padStart(20, '0')}`

const started = Date.UTC(2026, 0, 14, 9, 30)
export const time = (minutes: number) => new Date(started + minutes * 60_000).toISOString()

export const modelName = 'mistudio-demo'
const modelId = idOf('model', 1)

export const models: Model[] = [
  {
    id: modelId,
    name: modelName,
    source: 'demo',
    path: 'demo:model',
    architecture: 'llama',
    status: 'ready',
    params_count: 10_750_000,
    layers: 8,
    d_model: 256,
    vocab_size: 8192,
    context_length: 512,
    hook_types: ['resid_pre', 'resid_mid', 'resid_post', 'attn_out', 'mlp_out'],
    error_message: null,
    created_at: time(0),
  },
]

const names = ['scripture', 'dictionary', 'programming', 'databases']
const documents = [579, 1171, 332, 472]
export const datasets: Dataset[] = names.map((name, i) => ({
  id: idOf('dataset', i + 1),
  name,
  source: 'demo',
  format: 'jsonl',
  status: 'ready',
  size_bytes: 2_020_747 + i * 17_000,
  documents: documents[i],
  bad_lines: i === 3 ? 2 : 0,
  text_field: 'text',
  error_message: null,
  created_at: time(1),
}))

export const tokenizations: Tokenization[] = datasets.map((dataset, i) => ({
  id: idOf('tokenization', i + 1),
  dataset_id: dataset.id,
  dataset_name: dataset.name,
  model_id: modelId,
  model_name: modelName,
  context_size: 128,
  status: i === 3 ? 'tokenizing' : 'ready',
  progress: i === 3 ? 0.42 : 1,
  vocab_size: i === 3 ? null : 8192,
  splits:
    i === 3
      ? null
      : {
          train: { documents: documents[i] - 50, contexts: 4100 + i, tokens: 524_800 + 128 * i },
          held_out: { documents: 50, contexts: 450, tokens: 57_600 },
        },
  job_id: idOf('job', 10 + i),
  error_message: null,
  created_at: time(2),
  completed_at: i === 3 ? null : time(3),
}))

const settings: Training['hyperparameters'] = {
  family: 'topk',
  recipe: null,
  d_sae: 4096,
  settings: { k: 32, learning_rate: 1e-3, normalisation: 'expected_average' },
  train_tokens: 1_048_576,
  batch_size: 1024,
  context_size: 128,
  seed: 0,
  run: {},
}

type Variant = Pick<TrainingMember, 'variant'> & { suffix: string }

function training(options: {
  number: number
  name: string
  status: Training['status']
  layers: number[]
  hookTypes: HookType[]
  ks?: number[]
}): Training {
  const { number, name, status, layers, hookTypes, ks = [] } = options
  const completed = status === 'completed'
  const swept = ks.map((k): Variant => ({ variant: { k }, suffix: `-k=${k}` }))
  const variants: Variant[] = swept.length > 0 ? swept : [{ variant: {}, suffix: '' }]
  const places = layers.flatMap(layer => hookTypes.map((type, i) => ({ layer, type, i })))
  const members = places.flatMap(({ layer, type, i }) =>
    variants.map(({ variant, suffix }): TrainingMember => {
      const hook = hookPointOf({ layer, hookType: type })
      return {
        name: hook + suffix,
        family: 'topk',
        variant,
        hook_point: hook,
        inputs: [hook],
        outputs: [hook],
        layer,
        hook_type: type,
        d_sae: 4096,
        status: completed ? 'completed' : 'pending',
        error_message: null,
        step: completed ? 1024 : 0,
        metrics: {},
        l0_histogram: null,
        density_histogram: null,
        warnings: [],
        loss: completed ? 0.081 + 0.01 * i : null,
        fvu: completed ? 0.171 + 0.03 * i : null,
        l0: completed ? 31.98 : null,
        dead_latents: completed ? 112 + 90 * i : null,
        grad_norm: completed ? 0.0123 : null,
      }
    }),
  )
  return {
    id: idOf('training', number),
    name,
    model_id: modelId,
    model_name: modelName,
    dataset_ids: datasets.slice(0, 2).map(({ id }) => id),
    dataset_names: names.slice(0, 2),
    layers,
    hook_types: hookTypes,
    output_hook_type: null,
    dataset_weights: null,
    sweep: ks.length === 0 ? {} : { k: ks },
    hyperparameters: settings,
    status,
    kept: false,
    progress: completed ? 1 : 0,
    step: completed ? 1024 : 0,
    total_steps: status === 'pending' ? null : 1024,
    tokens: completed ? 1_048_576 : 0,
    total_tokens: 1_048_576,
    tokens_per_second: null,
    eta_seconds: null,
    memory_bytes: null,
    outlier_tokens: {},
    saes: members,
    saes_available: completed,
    job_id: idOf('job', 20 + number),
    error_message: null,
    created_at: time(5 + number),
    started_at: status === 'pending' ? null : time(6 + number),
    completed_at: completed ? time(12) : null,
  }
}

const hooks: HookType[] = ['resid_post', 'mlp_out']
const common = { layers: [2, 4], hookTypes: hooks }
export const trainings: Training[] = [
  training({
    number: 2,
    name: 'Scripture and dictionary, layers 2 and 4',
    status: 'running',
    ...common,
    ks: [16, 32, 64],
  }),
  training({ number: 3, name: 'Wider', status: 'pending', layers: [5], hookTypes: hooks }),
  training({ number: 1, name: 'Demo', status: 'completed', ...common }),
]
export const runningTraining = trainings[0]

export const saes: Sae[] = trainings[2].saes.map(({ hook_point, layer, hook_type }, i) => ({
  id: idOf('sae', i + 1),
  name: `Demo ${hook_point}`,
  source: 'training',
  training_id: trainings[2].id,
  training_name: 'Demo',
  member: hook_point,
  checkpoint: null,
  model_id: modelId,
  model_name: modelName,
  hook_point,
  layer,
  hook_type,
  architecture: 'topk',
  d_in: 256,
  d_sae: 4096,
  k: 32,
  status: 'ready',
  error_message: null,
  created_at: time(13),
}))
saes.push({
  ...saes[0],
  id: idOf('sae', 9),
  name: 'gpt2-small-res-jb',
  source: 'folder',
  training_id: null,
  training_name: null,
  member: null,
  hook_point: 'ln_final.hook_normalized',
  layer: null,
  hook_type: null,
  k: null,
})

export function extraction(options: {
  number: number
  sae: Sae
  datasetIds?: string[]
  config?: Partial<Extraction['config']>
  batch?: { id: string; position: number; total: number }
}): Extraction {
  const { number, sae, datasetIds = [datasets[0].id], config, batch } = options
  return {
    id: idOf('extraction', number),
    sae_id: sae.id,
    sae_name: sae.name,
    training_id: sae.training_id,
    model_id: modelId,
    model_name: modelName,
    hook_point: sae.hook_point,
    layer: sae.layer,
    hook_type: sae.hook_type,
    dataset_ids: datasetIds,
    dataset_names: datasets.filter(({ id }) => datasetIds.includes(id)).map(({ name }) => name),
    config: { ...extractionConfig.parse({ context_size: 128 }), ...config },
    status: 'queued',
    nlp_status: config?.auto_nlp === false ? null : 'pending',
    stage: 'QUEUED',
    batch_id: batch?.id ?? null,
    batch_position: batch?.position ?? null,
    batch_total: batch?.total ?? null,
    progress: 0,
    current_batch: 0,
    total_batches: 128,
    samples_processed: 0,
    total_samples: 2048,
    samples_per_second: 0,
    mean_samples_per_second: 0,
    eta_seconds: null,
    features_in_heap: 0,
    heap_examples_count: 0,
    nlp_progress: 0,
    nlp_processed_count: 0,
    features: null,
    features_alive: null,
    tokens: null,
    complete: null,
    job_id: idOf('job', 100 + number),
    error_message: null,
    nlp_error_message: null,
    created_at: time(20 + number),
    started_at: null,
    completed_at: null,
  }
}

const done = (of: Extraction, changes: Partial<Extraction> = {}): Extraction => ({
  ...of,
  status: 'completed',
  nlp_status: 'completed',
  stage: 'COMPLETED',
  progress: 1,
  current_batch: 128,
  samples_processed: 2048,
  samples_per_second: 71.2,
  mean_samples_per_second: 68.4,
  eta_seconds: null,
  features_in_heap: 3811,
  heap_examples_count: 61_204,
  nlp_progress: 1,
  nlp_processed_count: 3811,
  features: 4096,
  features_alive: 3811,
  tokens: 260_096,
  complete: true,
  started_at: time(21),
  completed_at: time(24),
  ...changes,
})

export const batchId = idOf('batch', 1)
const batch = (position: number) => ({ id: batchId, position, total: 3 })
export const extractions: Extraction[] = [
  extraction({ number: 4, sae: saes[3], batch: batch(3) }),
  extraction({ number: 3, sae: saes[2], batch: batch(2) }),
  done(extraction({ number: 2, sae: saes[1], batch: batch(1) }), {
    nlp_status: 'failed',
    nlp_error_message: 'the analysis ran out of memory',
    nlp_progress: 0.3,
    nlp_processed_count: 1143,
  }),
  done(extraction({ number: 1, sae: saes[0] })),
  {
    ...extraction({ number: 5, sae: saes[0] }),
    status: 'failed',
    stage: 'FAILED',
    error_message: 'the dataset has no held-out documents',
    completed_at: time(30),
  },
]
export const runningExtraction = extractions[1]
export const doneExtraction = extractions[3]

/** Advice as the studio would give it, with a warning where λ is large. */
export function adviceFor(asked: RequestOf<'adviseTraining'>['body']): Advice {
  const { layers, hook_types, hyperparameters, sweep = {}, probe } = asked
  const variants = Object.values(sweep).reduce((product, values) => product * values.length, 1)
  const saes = layers.length * hook_types.length * variants
  const { d_sae, train_tokens, batch_size = 1024, settings = {} } = hyperparameters
  const one = 2 * 256 * d_sae
  const learners = saes * one * 32
  const fits = learners < 20e9
  const steps = Math.ceil(train_tokens / batch_size)
  const coefficient = Number(settings.sparsity_coefficient ?? 0)
  const suggested = { field: 'sparsity_coefficient', value: 1.3, reason: 'for L0 ≈ 63' }
  return {
    saes,
    steps,
    parameters: saes * one,
    memory: { model: 129e6, window: 134e6 * saes, learners, total: learners + 463e6, available: 21.4e9 },
    disk: { checkpoints: saes * one * 24, saes: saes * one * 4, total: saes * one * 28, available: 77e9 },
    time:
      probe === false
        ? null
        : {
            capture_seconds: 61,
            step_seconds: 0.04 * saes,
            total_seconds: 61 + 0.04 * saes * steps,
            tokens_per_second: 5200,
          },
    measured: probe === false ? null : { gflops: 181, capture_tokens_per_second: 17_100, seconds: 4.2 },
    busy: true,
    fits,
    refusal: fits ? null : 'it takes more memory than is free',
    suggestions: fits
      ? []
      : [
          { field: 'members', value: Math.max(1, Math.floor(saes / 4)), reason: 'so many fit at once' },
          { field: 'd_sae', value: 8192, reason: 'the largest that fits' },
        ],
    warnings:
      coefficient > 4
        ? [
            {
              field: 'sparsity_coefficient',
              message: `sparsity_coefficient ${coefficient} is ${(coefficient / 1.3).toFixed(1)} times the suggested 1.3; by 2·s·σ/√L0 it leads to L0 near 2`,
              suggestion: suggested,
            },
          ]
        : [],
    reasons: Object.hasOwn(settings, 'sparsity_coefficient')
      ? ['λ ≈ 1.3 for L0 ≈ 63: 2·s·σ/√L0 with s = 1/3']
      : [],
  }
}

export function checkpointsOf(id: string): Checkpoint[] {
  const found = trainings.find(one => one.id === id)
  return [900, 600, 300].map((step, i) => ({
    step,
    tokens: step * 1024,
    bytes: 101_000_000,
    at: time(12 - i),
    best: step === 900,
    fvu: 0.17 + i / 50,
    saes: (found?.saes ?? []).map(({ name }) => name),
    finalised: step === 300,
  }))
}

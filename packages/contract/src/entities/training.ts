// Trainings: one pass of a model over one or several datasets, one SAE per choice of hook points and variant.
import { z } from 'zod'
import { count, hookType, idOf, layer, name, share, time } from '../base.ts'
import { statesOf, trainingMachine } from '../states.ts'
import { contextSize } from './dataset.ts'
import { settingName, settings, settingValue } from './family.ts'

const dSae = z.number().int().min(1).max(1_048_576).meta({ description: 'latents of each SAE' })
const trainTokens = z.number().int().min(1).max(1e12).meta({ description: 'tokens to train on' })
const batchSize = z.number().int().min(1).max(1_048_576).meta({ description: 'tokens per step' })
const seed = z.number().int().min(0).max(0xffff_ffff)

const wordOf = (what: string) =>
  z
    .string()
    .regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/, `the name of a ${what}`)
    .meta({ description: `name of a ${what}` })

/** What all SAEs of a training share. */
export const hyperparameters = z
  .strictObject({
    family: wordOf('family'),
    recipe: wordOf('recipe').nullable(),
    d_sae: dSae,
    settings: settings.meta({
      description: 'of the family and of every SAE; others come from the recipe or defaults',
    }),
    train_tokens: trainTokens,
    batch_size: batchSize,
    context_size: contextSize,
    seed,
    run: settings.meta({ description: 'other settings of the run: checkpoints, retention, early stop' }),
  })
  .meta({ id: 'Hyperparameters' })
export type Hyperparameters = z.infer<typeof hyperparameters>

/** Fields of requests from before there were families: `architecture`, `k`, `learning_rate`, `normalisation`. */
const before = {
  architecture: z.literal('topk').optional().meta({ deprecated: true, description: 'family' }),
  k: z.number().int().min(1).max(65_536).optional().meta({ deprecated: true, description: 'settings.k' }),
  learning_rate: z
    .number()
    .gt(0)
    .max(1)
    .nullable()
    .optional()
    .meta({ deprecated: true, description: 'settings.learning_rate' }),
  normalisation: z
    .enum(['none', 'expected_average'])
    .optional()
    .meta({ deprecated: true, description: 'settings.normalisation' }),
}

/** As given, each field with its default. */
export const hyperparametersGiven = z
  .strictObject({
    family: wordOf('family').optional().meta({ description: 'default the recipe’s, or topk' }),
    recipe: wordOf('recipe').nullable().default(null),
    d_sae: dSae,
    settings: settings.default({}),
    train_tokens: trainTokens,
    batch_size: batchSize.optional().meta({ description: 'tokens per step; default the recipe’s, or 1,024' }),
    context_size: contextSize.default(128).meta({ description: 'tokens per context' }),
    seed: seed.default(0),
    run: settings.default({}),
    ...before,
  })
  .meta({ id: 'HyperparametersRequest' })

export const hyperparametersRequest = hyperparametersGiven
  .superRefine((given, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message })
    if (given.k !== undefined && given.k > given.d_sae) refuse('k', 'at most d_sae')
    if (given.architecture !== undefined && (given.family ?? 'topk') !== given.architecture) {
      refuse('architecture', 'the family, or left out')
    }
    for (const key of ['k', 'learning_rate', 'normalisation'] as const) {
      if (given[key] !== undefined && given.settings[key] !== undefined)
        refuse(key, `only in settings.${key}`)
    }
  })
  .transform(renamed)

type Before = { [K in keyof typeof before]?: z.infer<(typeof before)[K]> }

/** As in a request: the recipe fills in what is missing. */
export type HyperparametersAsked = Omit<Hyperparameters, 'family' | 'batch_size'> & {
  family?: string
  batch_size?: number
}

/** @returns the request with the old fields moved into settings */
function renamed(given: HyperparametersAsked & Before): HyperparametersAsked {
  const { family, architecture, k, learning_rate, normalisation, settings, ...rest } = given
  const old = family === undefined && given.recipe === null
  return {
    ...rest,
    family: family ?? architecture ?? (given.recipe === null ? 'topk' : undefined),
    settings: {
      // The former default.
      ...(old && { normalisation: 'expected_average' }),
      ...(k !== undefined && { k }),
      ...(learning_rate !== undefined && { learning_rate }),
      ...(normalisation !== undefined && { normalisation }),
      ...settings,
    },
  }
}

/** Most members of a training: layers × hook types × variants. */
export const membersAtMost = 512

const requested = {
  name: name.optional(),
  model_id: idOf('model'),
  dataset_ids: z.array(idOf('dataset')).min(1).max(50).optional(),
  dataset_id: idOf('dataset').optional().meta({ description: 'one dataset, instead of dataset_ids' }),
  dataset_weights: z.array(z.number().gt(0).max(1e6)).min(1).max(50).nullable().default(null).meta({
    description: 'share of the tokens from each dataset; null: all texts once, one after the other',
  }),
  layers: z.array(layer).min(1).max(256),
  hook_types: z.array(hookType).min(1).meta({ description: 'read; for a transcoder the inputs' }),
  output_hook_type: hookType
    .nullable()
    .default(null)
    .meta({ description: 'predicted, for families that read one hook point and predict another' }),
  hyperparameters: hyperparametersRequest,
  sweep: z
    .record(settingName, z.array(settingValue).min(1).max(64))
    .default({})
    .meta({ description: 'values by setting: every combination is a variant with its own SAE' }),
}

export const trainingRequest = z
  .strictObject(requested)
  .refine(({ dataset_ids, dataset_id }) => (dataset_ids === undefined) !== (dataset_id === undefined), {
    path: ['dataset_ids'],
    message: 'either dataset_ids or dataset_id',
  })
  .refine(
    ({ dataset_ids, dataset_weights }) =>
      dataset_weights === null || dataset_weights.length === (dataset_ids?.length ?? 1),
    { path: ['dataset_weights'], message: 'one for each of dataset_ids' },
  )
  .meta({ id: 'TrainingRequest' })
export type TrainingRequest = z.infer<typeof trainingRequest>
export type TrainingRequestGiven = z.input<typeof trainingRequest>

/** A training under consideration: its texts do not matter yet. */
export const trainingAdviceRequest = z
  .strictObject({
    ...requested,
    probe: z.boolean().default(true).meta({ description: 'measure this machine for up to five seconds' }),
  })
  .meta({ id: 'TrainingAdviceRequest' })

const measured = z.number().nullable()

export const memberStates = ['pending', 'training', 'completed', 'stopped', 'failed'] as const
export type MemberStatus = (typeof memberStates)[number]

/** A warning the user can act on while an SAE trains. */
export const trainingWarning = z
  .strictObject({
    kind: z.string(),
    message: z.string(),
    advice: z.string().meta({ description: 'what to do about it' }),
    step: count,
  })
  .meta({ id: 'TrainingWarning' })
export type TrainingWarning = z.infer<typeof trainingWarning>

/** Also a folder's name. */
export const memberName = z
  .string()
  .regex(/^\w[\w.,:=+~-]{0,199}$/, 'the name of an SAE of the training')
  .meta({ description: 'name of an SAE within its training' })

/** One SAE of a training as last measured: means over the interval since the last event. */
export const trainingMember = z
  .strictObject({
    name: memberName,
    family: z.string(),
    variant: settings.meta({ description: 'swept settings and their values here' }),
    hook_point: z.string().meta({ description: 'the first of inputs' }),
    inputs: z.array(z.string()),
    outputs: z.array(z.string()),
    layer: layer.nullable().meta({ description: 'null where several layers are joined' }),
    hook_type: hookType.nullable(),
    d_sae: count,
    status: z.enum(memberStates),
    error_message: z.string().nullable(),
    step: count.meta({ description: 'its own: a member may end before the others' }),
    loss: measured,
    fvu: measured,
    l0: measured,
    dead_latents: count.nullable().meta({ description: 'null until dead_after_tokens tokens were seen' }),
    grad_norm: measured,
    metrics: z
      .record(z.string(), measured)
      .meta({ description: 'everything measured, under the names of /metrics; null: not measured' }),
    l0_histogram: z
      .array(count)
      .nullable()
      .meta({ description: 'tokens by their L0: 0, 1, 2–3, 4–7 … powers of two' }),
    density_histogram: z
      .array(count)
      .nullable()
      .meta({ description: 'latents by decade of density: bin i from 10^(i−10); silent ones in bin 0' }),
    warnings: z.array(trainingWarning),
  })
  .meta({ id: 'TrainingMember' })
export type TrainingMember = z.infer<typeof trainingMember>

export const outlierTokens = z
  .record(z.string(), count)
  .meta({ description: 'tokens dropped by the outlier rule so far, by hook point' })

export const training = z
  .strictObject({
    id: idOf('training'),
    name,
    model_id: idOf('model'),
    model_name: name,
    dataset_ids: z.array(idOf('dataset')),
    dataset_names: z.array(name),
    dataset_weights: z.array(z.number()).nullable(),
    layers: z.array(layer),
    hook_types: z.array(hookType),
    output_hook_type: hookType.nullable(),
    hyperparameters,
    sweep: z.record(settingName, z.array(settingValue)),
    status: z.enum(statesOf(trainingMachine)),
    kept: z.boolean().meta({ description: 'a stopped training whose SAEs were kept' }),
    progress: share,
    step: count,
    total_steps: count.nullable(),
    tokens: count,
    total_tokens: count,
    tokens_per_second: measured,
    eta_seconds: count.nullable(),
    memory_bytes: count.nullable().meta({ description: 'resident memory of the training process' }),
    outlier_tokens: outlierTokens,
    saes: z.array(trainingMember),
    saes_available: z.boolean().meta({ description: 'SAEs can be imported' }),
    job_id: idOf('job').nullable(),
    error_message: z.string().nullable(),
    created_at: time,
    started_at: time.nullable(),
    completed_at: time.nullable(),
  })
  .meta({ id: 'Training' })
export type Training = z.infer<typeof training>

/** pause: checkpoint and wait; resume; stop: end and keep the SAEs (`keep`), or end and drop them. */
export const trainingStop = z.strictObject({ keep: z.boolean().default(true) })

/** `step` absent: the current state, ending a running training; otherwise the checkpoint of that step. */
export const trainingFinalise = z.strictObject({ step: count.optional() })

export const trainingRetry = z.strictObject({
  member: memberName.meta({ description: 'the SAE to train again; the others are unchanged' }),
})

export const checkpoint = z
  .strictObject({
    step: count,
    tokens: count,
    bytes: count,
    at: time,
    best: z.boolean().meta({ description: 'the one with the lowest mean FVU' }),
    fvu: measured.meta({ description: 'mean over the SAEs when it was written' }),
    saes: z.array(memberName),
    finalised: z.boolean().meta({ description: 'its SAEs can be imported' }),
  })
  .meta({ id: 'Checkpoint' })
export type Checkpoint = z.infer<typeof checkpoint>

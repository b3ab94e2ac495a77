// Trainings: one pass of a model over one or several datasets, one SAE for each layer and hook type.
import { z } from 'zod'
import { count, hookType, idOf, layer, name, share, time } from '../base.ts'
import { statesOf, trainingMachine } from '../states.ts'
import { contextSize } from './dataset.ts'

export const hyperparameters = z
  .strictObject({
    architecture: z.literal('topk').default('topk'),
    d_sae: z.number().int().min(1).max(1_048_576).meta({ description: 'latents of each SAE' }),
    k: z.number().int().min(1).max(65_536).meta({ description: 'latents kept a token, at most d_sae' }),
    train_tokens: z.number().int().min(1).max(1e12).meta({ description: 'tokens to train on' }),
    batch_size: z.number().int().min(1).max(1_048_576).default(1024).meta({ description: 'tokens a step' }),
    learning_rate: z
      .number()
      .gt(0)
      .max(1)
      .nullable()
      .default(null)
      .meta({ description: "Adam's rate; null: chosen by width and length" }),
    normalisation: z.enum(['none', 'expected_average']).default('expected_average'),
    context_size: contextSize.default(128).meta({ description: 'tokens a context' }),
    seed: z.number().int().min(0).max(0xffff_ffff).default(0),
  })
  .refine(({ k, d_sae }) => k <= d_sae, { path: ['k'], message: 'at most d_sae' })
  .meta({ id: 'Hyperparameters' })
export type Hyperparameters = z.infer<typeof hyperparameters>

export const trainingRequest = z
  .strictObject({
    name: name.optional(),
    model_id: idOf('model'),
    dataset_ids: z.array(idOf('dataset')).min(1).max(50).optional(),
    dataset_id: idOf('dataset').optional().meta({ description: 'one dataset, in place of dataset_ids' }),
    layers: z.array(layer).min(1).max(256),
    hook_types: z.array(hookType).min(1),
    hyperparameters,
  })
  .refine(({ dataset_ids, dataset_id }) => (dataset_ids === undefined) !== (dataset_id === undefined), {
    path: ['dataset_ids'],
    message: 'either dataset_ids or dataset_id',
  })
  .meta({ id: 'TrainingRequest' })
export type TrainingRequest = z.infer<typeof trainingRequest>

const measured = z.number().nullable()

/** One SAE of a training as last measured: means over the stretch since the event before. */
export const trainingMember = z
  .strictObject({
    hook_point: z.string(),
    layer,
    hook_type: hookType,
    loss: measured,
    fvu: measured,
    l0: measured,
    dead_latents: count.nullable().meta({ description: 'null until the window of tokens was seen' }),
    grad_norm: measured,
  })
  .meta({ id: 'TrainingMember' })
export type TrainingMember = z.infer<typeof trainingMember>

export const training = z
  .strictObject({
    id: idOf('training'),
    name,
    model_id: idOf('model'),
    model_name: name,
    dataset_ids: z.array(idOf('dataset')),
    dataset_names: z.array(name),
    layers: z.array(layer),
    hook_types: z.array(hookType),
    hyperparameters,
    status: z.enum(statesOf(trainingMachine)),
    kept: z.boolean().meta({ description: 'a stopped training whose SAEs were kept' }),
    progress: share,
    step: count,
    total_steps: count.nullable(),
    tokens: count,
    total_tokens: count,
    tokens_per_second: measured,
    eta_seconds: count.nullable(),
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

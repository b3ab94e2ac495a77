// SAEs that can be used: imported from a training, or from a folder of any format that is read.
import { z } from 'zod'
import { count, hookType, idOf, layer, name, time } from '../base.ts'
import { memberName } from './training.ts'

export const sae = z
  .strictObject({
    id: idOf('sae'),
    name,
    source: z.enum(['training', 'folder']),
    training_id: idOf('training').nullable(),
    training_name: name.nullable(),
    member: z.string().nullable().meta({ description: 'its name within its training' }),
    checkpoint: count
      .nullable()
      .meta({ description: 'step of the checkpoint it was made from; null: its training’s end' }),
    model_id: idOf('model'),
    model_name: name,
    hook_point: z.string(),
    layer: layer.nullable(),
    hook_type: hookType.nullable(),
    architecture: z.string(),
    d_in: count,
    d_sae: count,
    k: count.nullable(),
    status: z.enum(['ready', 'error']),
    error_message: z.string().nullable(),
    created_at: time,
  })
  .meta({ id: 'Sae' })
export type Sae = z.infer<typeof sae>

/** SAEs a training offers: hook and sizes are read from each SAE's own file. */
export const availableSae = z
  .strictObject({
    member: memberName,
    checkpoint: count.nullable().meta({ description: 'step of the checkpoint it was made from, or null' }),
    hook_point: z.string(),
    layer: layer.nullable(),
    hook_type: hookType.nullable(),
    architecture: z.string(),
    d_in: count,
    d_sae: count,
    k: count.nullable(),
    imported_sae_id: idOf('sae').nullable().meta({ description: 'the SAE it was imported as, or null' }),
  })
  .meta({ id: 'AvailableSae' })
export type AvailableSae = z.infer<typeof availableSae>

export const saeImport = z
  .strictObject({
    training_id: idOf('training').optional(),
    hook_points: z
      .array(z.string())
      .min(1)
      .optional()
      .meta({ description: 'which of the training’s SAEs; default all that are not imported yet' }),
    members: z
      .array(memberName)
      .min(1)
      .optional()
      .meta({ description: 'which of the training’s SAEs by name, instead of hook_points' }),
    checkpoint: count
      .optional()
      .meta({ description: 'those made from the checkpoint of this step; default: from the training’s end' }),
    path: z.string().min(1).max(4096).optional().meta({
      description: 'the folder of an SAE (GET /formats), in place of a training',
    }),
    model_id: idOf('model').optional().meta({ description: 'with path: the model it was trained on' }),
    name: name.optional().meta({ description: 'with path' }),
  })
  .refine(({ training_id, path }) => (training_id === undefined) !== (path === undefined), {
    path: ['training_id'],
    message: 'either training_id or path',
  })
  .refine(({ path, model_id }) => (path === undefined) === (model_id === undefined), {
    path: ['model_id'],
    message: 'model_id together with path',
  })
  .meta({ id: 'SaeImport' })

export const saeImportResult = z
  .strictObject({
    imported: z.array(sae),
    skipped: z.array(z.strictObject({ hook_point: z.string(), member: memberName, reason: z.string() })),
  })
  .meta({ id: 'SaeImportResult' })

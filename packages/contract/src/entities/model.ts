// Language models: local folders in Hugging Face layout.
import { z } from 'zod'
import { count, hookType, idOf, name, time } from '../base.ts'

export const model = z
  .strictObject({
    id: idOf('model'),
    name,
    source: z.enum(['local', 'demo']),
    path: z.string().meta({ description: 'the folder, absolute, or relative to the data folder' }),
    architecture: z.string().meta({ description: 'model_type of config.json' }),
    status: z.enum(['ready', 'error']),
    params_count: count,
    layers: count,
    d_model: count,
    vocab_size: count,
    context_length: count,
    hook_types: z.array(hookType),
    error_message: z.string().nullable(),
    created_at: time,
  })
  .meta({ id: 'Model' })
export type Model = z.infer<typeof model>

export const modelRequest = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .max(4096)
      .meta({ description: 'a folder with config.json, tokenizer.json, *.safetensors' }),
    name: name.optional().meta({ description: "default: the folder's name" }),
  })
  .meta({ id: 'ModelRequest' })

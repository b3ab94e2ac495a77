// Datasets (text) and tokenizations (the token store of a dataset under one model's tokenizer).
import { z } from 'zod'
import { count, idOf, name, share, time } from '../base.ts'
import { statesOf, tokenizationMachine } from '../states.ts'
import { formatName } from './format.ts'

export const dataset = z
  .strictObject({
    id: idOf('dataset'),
    name,
    source: z.enum(['upload', 'demo']),
    format: formatName.meta({ description: 'the kind of file, by its name in GET /formats' }),
    status: z.enum(['ready', 'error']),
    size_bytes: count,
    documents: count.meta({ description: 'documents with text: lines of a .jsonl file, 1 for .txt' }),
    bad_lines: count.meta({ description: 'lines skipped on upload' }),
    text_field: z
      .string()
      .nullable()
      .meta({ description: 'field with the text; null if documents have no fields' }),
    error_message: z.string().nullable(),
    created_at: time,
  })
  .meta({ id: 'Dataset' })
export type Dataset = z.infer<typeof dataset>

/** The fields of a multipart upload besides the part `file`. */
export const datasetUpload = z.strictObject({
  name: name.optional().meta({ description: "default: the file's name" }),
  text_field: z.string().min(1).max(100).default('text'),
  skip_bad_lines: z.stringbool().default(false),
})

export const contextSize = z.number().int().min(2).max(1_048_576)

const splitCounts = z.strictObject({ documents: count, contexts: count, tokens: count })

export const tokenization = z
  .strictObject({
    id: idOf('tokenization'),
    dataset_id: idOf('dataset'),
    dataset_name: name,
    model_id: idOf('model'),
    model_name: name,
    context_size: contextSize,
    status: z.enum(statesOf(tokenizationMachine)),
    progress: share,
    vocab_size: count.nullable(),
    splits: z
      .strictObject({ train: splitCounts, held_out: splitCounts })
      .nullable()
      .meta({ description: 'null until ready' }),
    job_id: idOf('job').nullable(),
    error_message: z.string().nullable(),
    created_at: time,
    completed_at: time.nullable(),
  })
  .meta({ id: 'Tokenization' })
export type Tokenization = z.infer<typeof tokenization>

export const tokenizationRequest = z
  .strictObject({
    dataset_id: idOf('dataset'),
    model_id: idOf('model'),
    context_size: contextSize.default(128),
  })
  .meta({ id: 'TokenizationRequest' })

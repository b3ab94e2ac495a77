// One feature with its examples: figures from the row, examples from the extraction's Parquet.
import { type FeatureDetail, parseFeatureId } from '@mistudio/contract'
import { type Example, type FeatureWithExamples, logBinRange } from '@mistudio/feature'
import { InputError } from '@mistudio/files'
import { and, eq } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { extractions, features } from '../../db/schema.ts'
import { notFound, ProblemError } from '../../problem.ts'
import { datasetNames } from '../datasets/names.ts'
import { findExtraction } from '../extractions/find.ts'
import type { Services } from '../services.ts'
import { featureColumns } from './columns.ts'

export async function findFeature({ db, storage, shelf }: Services, id: string): Promise<FeatureDetail> {
  const { extractionId, feature: number } = parseFeatureId(id)
  const [row] = await db
    .select({ ...featureColumns, nlp: features.nlp, path: extractions.path })
    .from(features)
    .innerJoin(extractions, eq(extractions.id, features.extraction_id))
    .where(and(eq(features.extraction_id, extractionId), eq(features.feature, number)))
  if (row === undefined || row.path === null) throw notFound('feature', id)
  const { path, nlp, ...item } = row
  const extraction = await findExtraction(db, extractionId)
  const found = await shelf.use(storage.resolve(path), open => open.feature(number)).catch(unreadable)
  const examples = [...found.top, ...found.quantile]
  const names = await textNames(db, examples)
  return {
    id,
    ...item,
    sae_id: extraction.sae_id,
    sae_name: extraction.sae_name,
    model_name: extraction.model_name,
    hook_point: extraction.hook_point,
    dataset_names: extraction.dataset_names,
    split: extraction.config.split,
    tokens: extraction.tokens,
    histogram: histogramOf(found),
    top_logits: logitsOf(found.top_token_ids, found.top_tokens, found.top_logits),
    bottom_logits: logitsOf(found.bottom_token_ids, found.bottom_tokens, found.bottom_logits),
    nlp,
    examples: examples.map(example => ({
      kind: example.kind,
      rank: example.rank,
      peak_activation: example.peak_activation,
      dataset: names(example),
      document: example.document,
      source_row: example.source_row,
      context: example.context,
      position: example.position,
      peak_index: example.position - example.window_start,
      token_texts: example.token_texts,
      activations: example.activations,
    })),
  }
}

/** The row says that there are examples: files that are gone or broken are no fault of the request. */
function unreadable(error: unknown): never {
  if (!(error instanceof InputError)) throw error
  const { message, found, expected } = error.details
  throw new ProblemError('conflict', {
    title: 'the files of this extraction cannot be read',
    detail: message,
    field: 'files',
    found: found ?? message,
    expected: expected ?? 'the files as the extraction wrote them; it can be run again',
  })
}

/** From the first bin with a token to the last. */
function histogramOf({ histogram }: FeatureWithExamples): FeatureDetail['histogram'] {
  const first = histogram.findIndex(tokens => tokens > 0)
  if (first < 0) return []
  const last = histogram.findLastIndex(tokens => tokens > 0)
  return histogram.slice(first, last + 1).map((tokens, i) => {
    const { low, high } = logBinRange(first + i)
    return { low, high: Number.isFinite(high) ? high : null, tokens }
  })
}

function logitsOf(
  ids: number[] | null,
  texts: string[] | null,
  logits: number[] | null,
): FeatureDetail['top_logits'] {
  if (ids === null || texts === null || logits === null) return null
  return ids.map((token_id, i) => ({ token_id, text: texts[i], logit: logits[i] }))
}

/** A dataset's file lies in a folder with the dataset's id, wherever the data folder was when it was read. */
async function textNames(db: Executor, examples: readonly Example[]): Promise<(example: Example) => string> {
  const idIn = ({ source_file }: Example) =>
    /(?:^|[\\/])(ds_[0-9a-z]{20})[\\/]text\.\w+$/.exec(source_file)?.[1]
  const ids = [...new Set(examples.map(idIn).filter(id => id !== undefined))]
  const names = await datasetNames(db, [ids])
  return example => {
    const id = idIn(example)
    return id === undefined ? example.store : names([id])[0]
  }
}

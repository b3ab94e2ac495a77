// The texts and the model that a request names: there, ready, and held in place until its transaction ends.
import { eq, inArray } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { datasets, models } from '../../db/schema.ts'
import { notFound, ProblemError } from '../../problem.ts'

type Dataset = typeof datasets.$inferSelect
type Model = typeof models.$inferSelect

/**
 * Datasets and model of a request, held in place until the transaction ends.
 * @param options.field where the datasets were given; default `dataset_ids`
 */
export async function lockTexts(
  tx: Transaction,
  options: { datasetIds: readonly string[]; modelId: string; field?: string },
): Promise<{ texts: Dataset[]; model: Model }> {
  const { datasetIds, modelId, field = 'dataset_ids' } = options
  const twice = datasetIds.find((id, i) => datasetIds.indexOf(id) < i)
  if (twice !== undefined) {
    throw new ProblemError('invalid', {
      title: 'a dataset is named twice',
      field,
      found: twice,
      expected: 'each dataset once',
    })
  }
  const [model] = await tx.select().from(models).where(eq(models.id, modelId)).for('share')
  if (model === undefined) throw notFound('model', modelId, 'model_id')
  const found = await tx
    .select()
    .from(datasets)
    .where(inArray(datasets.id, [...datasetIds]))
    .for('share')
  const texts = datasetIds.map(id => {
    const text = found.find(row => row.id === id)
    if (text === undefined) throw notFound('dataset', id, field)
    if (text.status !== 'ready') throw unusable('dataset', text.name, text.error_message)
    return text
  })
  if (model.status !== 'ready') throw unusable('model', model.name, model.error_message)
  return { texts, model }
}

const unusable = (entity: string, name: string, message: string | null) =>
  new ProblemError('conflict', {
    title: `the ${entity} cannot be used`,
    field: `${entity}_id`,
    found: message === null ? name : `${name}: ${message}`,
    expected: `a ${entity} that is ready`,
  })

export function checkContextSize(options: { size: number; model: Model; field: string }): void {
  const { size, model, field } = options
  if (size <= model.context_length) return
  throw new ProblemError('invalid', {
    title: 'the context is longer than the model reads',
    field,
    found: String(size),
    expected: `at most ${model.context_length} for ${model.name}`,
  })
}

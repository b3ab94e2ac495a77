// Trainings as the API shows them, with the names of model and datasets.
import type { Training } from '@mistudio/contract'
import { desc, eq, type SQL } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { models, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { datasetNames } from '../datasets/names.ts'
import { iso, isoOrNull, type Paging, pageOfItems } from '../paging.ts'
import { saesAvailable } from './finished.ts'

async function selectTrainings(db: Executor, where: SQL | undefined, page?: Paging): Promise<Training[]> {
  const found = await db
    .select({ row: trainings, model_name: models.name })
    .from(trainings)
    .innerJoin(models, eq(models.id, trainings.model_id))
    .where(where)
    .orderBy(desc(trainings.created_at), desc(trainings.id))
    .limit(page?.limit ?? 1)
    .offset(page?.offset ?? 0)
  const names = await datasetNames(
    db,
    found.map(({ row }) => row.dataset_ids),
  )
  return found.map(({ row, model_name }) => {
    const { path: _, created_at, started_at, completed_at, ...rest } = row
    const { train_tokens, batch_size } = row.hyperparameters
    return {
      ...rest,
      model_name,
      dataset_names: names(row.dataset_ids),
      // Whole batches, as the trainer counts them.
      total_tokens: Math.ceil(train_tokens / batch_size) * batch_size,
      saes_available: saesAvailable(row),
      created_at: iso(created_at),
      started_at: isoOrNull(started_at),
      completed_at: isoOrNull(completed_at),
    }
  })
}

export async function findTraining(db: Executor, id: string): Promise<Training> {
  const [found] = await selectTrainings(db, eq(trainings.id, id))
  if (found === undefined) throw notFound('training', id)
  return found
}

/** The newest first. */
export async function listTrainings(db: Executor, query: Paging) {
  const data = await selectTrainings(db, undefined, query)
  return pageOfItems({ data, total: await db.$count(trainings), query })
}

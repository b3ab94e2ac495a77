// What a runner needs to read the text of a training again: model, token stores and members, every path resolved.
import { and, eq, inArray } from 'drizzle-orm'
import { datasets, models, tokenizations, trainings } from '../../db/schema.ts'
import { runMembers } from '../../domain/trainings/members.ts'
import type { KindContext } from '../kind.ts'

export async function trainingSpec({ database: { db }, storage }: KindContext, trainingId: string) {
  const [row] = await db
    .select()
    .from(trainings)
    .innerJoin(models, eq(models.id, trainings.model_id))
    .where(eq(trainings.id, trainingId))
  if (row === undefined) throw new Error('the training is gone')
  const { dataset_ids, dataset_weights, hyperparameters } = row.trainings
  const stores = await db
    .select()
    .from(tokenizations)
    .innerJoin(datasets, eq(datasets.id, tokenizations.dataset_id))
    .where(
      and(
        inArray(tokenizations.dataset_id, dataset_ids),
        eq(tokenizations.model_id, row.models.id),
        eq(tokenizations.context_size, hyperparameters.context_size),
        eq(tokenizations.status, 'ready'),
      ),
    )
  const ordered = dataset_ids.map(id => {
    const found = stores.find(store => store.datasets.id === id)
    if (found === undefined) throw new Error('a dataset of the training is not tokenized for its model')
    return found
  })
  return {
    trainingId,
    modelDir: storage.modelDir(row.models.path),
    modelName: row.models.name,
    cacheDir: storage.cacheDir,
    stores: ordered.map(store => storage.resolve(store.tokenizations.path!)),
    datasetNames: ordered.map(store => store.datasets.name),
    datasetWeights: dataset_weights,
    members: runMembers(row.trainings),
    hyperparameters,
  }
}

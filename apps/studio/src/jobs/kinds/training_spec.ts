// What a runner needs to read the text of a training again: model, token stores and members, every path resolved.
import { eq } from 'drizzle-orm'
import { models, trainings } from '../../db/schema.ts'
import { allStores } from '../../domain/tokenizations/ready.ts'
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
  const stores = await allStores(db, {
    datasetIds: dataset_ids,
    modelId: row.models.id,
    contextSize: hyperparameters.context_size,
    of: 'training',
  })
  return {
    trainingId,
    modelDirs: [storage.modelDir(row.models.path)],
    modelName: row.models.name,
    cacheDir: storage.cacheDir,
    stores: stores.map(({ path }) => storage.resolve(path)),
    datasetNames: stores.map(({ datasetName }) => datasetName),
    datasetWeights: dataset_weights,
    members: runMembers(row.trainings),
    hyperparameters,
  }
}

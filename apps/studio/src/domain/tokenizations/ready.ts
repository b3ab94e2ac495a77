// The token stores that are ready to be read.
import { and, eq, inArray } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { datasets, tokenizations } from '../../db/schema.ts'

/** `path`: relative to the data folder. */
export type ReadyStore = { path: string; datasetName: string }

/** @returns in the order of the datasets; undefined for one that is not tokenized for the model in this size */
export async function readyStores(
  db: Executor,
  options: { datasetIds: readonly string[]; modelId: string; contextSize: number },
): Promise<(ReadyStore | undefined)[]> {
  const { datasetIds, modelId, contextSize } = options
  if (datasetIds.length === 0) return []
  const found = await db
    .select({ id: datasets.id, path: tokenizations.path, datasetName: datasets.name })
    .from(tokenizations)
    .innerJoin(datasets, eq(datasets.id, tokenizations.dataset_id))
    .where(
      and(
        inArray(tokenizations.dataset_id, [...datasetIds]),
        eq(tokenizations.model_id, modelId),
        eq(tokenizations.context_size, contextSize),
        eq(tokenizations.status, 'ready'),
      ),
    )
  return datasetIds.map(id => {
    const { path = null, datasetName = '' } = found.find(store => store.id === id) ?? {}
    return path === null ? undefined : { path, datasetName }
  })
}

/** As `readyStores`, where all have to be there. @param options.of whose datasets they are, for the message */
export async function allStores(
  db: Executor,
  options: Parameters<typeof readyStores>[1] & { of: string },
): Promise<ReadyStore[]> {
  const found = await readyStores(db, options)
  return found.map(store => {
    if (store !== undefined) return store
    throw new Error(`a dataset of the ${options.of} is not tokenized for its model`)
  })
}

// A dataset goes, unless something uses it. Its token stores go with it: they are made from it alone.
import { and, eq, inArray, sql } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { datasets, extractions, tokenizations, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { forget, inUse, removeFolders } from '../changes.ts'
import type { Services } from '../services.ts'

export async function removeDataset(services: Services, id: string): Promise<void> {
  let stores: string[] = []
  await services.log.write(async tx => {
    const [row] = await tx.select().from(datasets).where(eq(datasets.id, id)).for('update')
    if (row === undefined) throw notFound('dataset', id)
    const user = await userOf(tx, id)
    if (user !== undefined) throw inUse({ entity: 'dataset', name: row.name, by: user })
    const gone = await tx.delete(tokenizations).where(eq(tokenizations.dataset_id, id)).returning()
    stores = gone.map(store => store.id)
    await tx.delete(datasets).where(eq(datasets.id, id))
    return await forget(tx, [`dataset/${id}`, ...stores.map(store => `tokenization/${store}`)])
  })
  await removeFolders(services, [folders.dataset(id), ...stores.map(folders.tokenization)])
}

async function userOf(tx: Transaction, id: string): Promise<string | undefined> {
  const ids = JSON.stringify([id])
  const [training] = await tx
    .select()
    .from(trainings)
    .where(sql`${trainings.dataset_ids} @> ${ids}::jsonb`)
    .limit(1)
  if (training !== undefined) return `the training ${training.name}`
  const [extraction] = await tx
    .select({ id: extractions.id })
    .from(extractions)
    .where(sql`${extractions.dataset_ids} @> ${ids}::jsonb`)
    .limit(1)
  if (extraction !== undefined) return 'an extraction'
  const active = and(
    eq(tokenizations.dataset_id, id),
    inArray(tokenizations.status, ['queued', 'tokenizing']),
  )
  const [tokenization] = await tx.select({ id: tokenizations.id }).from(tokenizations).where(active).limit(1)
  return tokenization === undefined ? undefined : 'a tokenization that runs'
}

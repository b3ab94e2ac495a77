// A model goes, unless something uses it, and its token stores with it. Its own folder is not ours to remove.
import { and, eq, inArray } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { extractions, models, saes, tokenizations, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { folders } from '../../storage.ts'
import { forget, inUse, removeFolders } from '../changes.ts'
import type { Services } from '../services.ts'

export async function removeModel(services: Services, id: string): Promise<void> {
  let stores: string[] = []
  await services.log.write(async tx => {
    const [row] = await tx.select().from(models).where(eq(models.id, id)).for('update')
    if (row === undefined) throw notFound('model', id)
    const user = await userOf(tx, id)
    if (user !== undefined) throw inUse({ entity: 'model', name: row.name, by: user })
    const gone = await tx.delete(tokenizations).where(eq(tokenizations.model_id, id)).returning()
    stores = gone.map(store => store.id)
    await tx.delete(models).where(eq(models.id, id))
    return await forget(tx, [`model/${id}`, ...stores.map(store => `tokenization/${store}`)])
  })
  await removeFolders(services, stores.map(folders.tokenization))
}

async function userOf(tx: Transaction, id: string): Promise<string | undefined> {
  const [training] = await tx.select().from(trainings).where(eq(trainings.model_id, id)).limit(1)
  if (training !== undefined) return `the training ${training.name}`
  const [sae] = await tx.select().from(saes).where(eq(saes.model_id, id)).limit(1)
  if (sae !== undefined) return `the SAE ${sae.name}`
  if ((await tx.$count(extractions, eq(extractions.model_id, id))) > 0) return 'an extraction'
  const active = and(eq(tokenizations.model_id, id), inArray(tokenizations.status, ['queued', 'tokenizing']))
  return (await tx.$count(tokenizations, active)) > 0 ? 'a tokenization that runs' : undefined
}

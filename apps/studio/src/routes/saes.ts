// SAEs that can be used. How they come in: sae_import.ts.
import type { Sae } from '@mistudio/contract'
import { and, desc, eq, ilike, inArray, type SQL } from 'drizzle-orm'
import type { Executor } from '../db/connect.ts'
import { extractions, models, saes, trainings } from '../db/schema.ts'
import { forget, inUse, removeFolders } from '../domain/changes.ts'
import { inOrderOf, iso, type Paging, pageOfItems } from '../domain/paging.ts'
import { importSaes } from '../domain/saes/import.ts'
import { containing } from '../domain/search.ts'
import type { Services } from '../domain/services.ts'
import { notFound } from '../problem.ts'
import { folders } from '../storage.ts'
import type { Handlers } from './register.ts'

async function selectSaes(db: Executor, where: SQL | undefined, page: Paging): Promise<Sae[]> {
  const found = await db
    .select({ row: saes, model_name: models.name, training_name: trainings.name })
    .from(saes)
    .innerJoin(models, eq(models.id, saes.model_id))
    .leftJoin(trainings, eq(trainings.id, saes.training_id))
    .where(where)
    .orderBy(desc(saes.created_at), desc(saes.id))
    .limit(page.limit)
    .offset(page.offset)
  return found.map(({ row: { path: _, created_at, ...row }, ...names }) => ({
    ...row,
    ...names,
    created_at: iso(created_at),
  }))
}

export async function findSae(db: Executor, id: string): Promise<Sae> {
  const [found] = await findSaes(db, [id])
  if (found === undefined) throw notFound('SAE', id)
  return found
}

export async function findSaes(db: Executor, ids: readonly string[]): Promise<Sae[]> {
  if (ids.length === 0) return []
  const found = await selectSaes(db, inArray(saes.id, [...ids]), { limit: ids.length, offset: 0 })
  return inOrderOf(ids, found)
}

async function removeSae(services: Services, id: string): Promise<void> {
  let copied = false
  await services.log.write(async tx => {
    const [row] = await tx.select().from(saes).where(eq(saes.id, id)).for('update')
    if (row === undefined) throw notFound('SAE', id)
    if ((await tx.$count(extractions, eq(extractions.sae_id, id))) > 0) {
      throw inUse({ entity: 'SAE', name: row.name, by: 'an extraction' })
    }
    // A training's SAE stays with the training, and can be imported again.
    copied = row.source === 'folder'
    await tx.delete(saes).where(eq(saes.id, id))
    return await forget(tx, [`sae/${id}`])
  })
  if (copied) await removeFolders(services, [folders.sae(id)])
}

type Names = 'listSaes' | 'importSaes' | 'getSae' | 'deleteSae'

export function saeHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    async listSaes({ query }) {
      const { training_id, search } = query
      const where = and(
        training_id === undefined ? undefined : eq(saes.training_id, training_id),
        search === undefined ? undefined : ilike(saes.name, containing(search)),
      )
      const data = await selectSaes(db, where, query)
      return pageOfItems({ data, total: await db.$count(saes, where), query })
    },
    async importSaes({ body }) {
      const { imported, skipped } = await importSaes(services, body)
      return { imported: await findSaes(db, imported), skipped }
    },
    getSae: ({ params }) => findSae(db, params.id),
    deleteSae: ({ params }) => removeSae(services, params.id),
  }
}

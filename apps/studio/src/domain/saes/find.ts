// SAEs as the API shows them, with the names of model and training.
import type { ParsedRequest, Sae } from '@mistudio/contract'
import { and, desc, eq, ilike, inArray, type SQL } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { models, saes, trainings } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { inOrderOf, iso, type Paging, pageOfItems } from '../paging.ts'
import { containing } from '../search.ts'

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

/** The newest first, of a training or with a name where the query asks for it. */
export async function listSaes(db: Executor, query: ParsedRequest<'listSaes'>['query']) {
  const { training_id, search } = query
  const where = and(
    training_id === undefined ? undefined : eq(saes.training_id, training_id),
    search === undefined ? undefined : ilike(saes.name, containing(search)),
  )
  const data = await selectSaes(db, where, query)
  return pageOfItems({ data, total: await db.$count(saes, where), query })
}

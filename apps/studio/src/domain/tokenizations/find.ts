// Tokenizations as the API shows them, with the names of dataset and model.
import type { ParsedRequest, Tokenization } from '@mistudio/contract'
import { and, desc, eq, type SQL } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { datasets, models, tokenizations } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { iso, isoOrNull, type Paging, pageOfItems } from '../paging.ts'

async function selectTokenizations(
  db: Executor,
  where: SQL | undefined,
  page?: Paging,
): Promise<Tokenization[]> {
  const found = await db
    .select({ row: tokenizations, dataset_name: datasets.name, model_name: models.name })
    .from(tokenizations)
    .innerJoin(datasets, eq(datasets.id, tokenizations.dataset_id))
    .innerJoin(models, eq(models.id, tokenizations.model_id))
    .where(where)
    .orderBy(desc(tokenizations.created_at), desc(tokenizations.id))
    .limit(page?.limit ?? 1)
    .offset(page?.offset ?? 0)
  return found.map(({ row: { path: _, created_at, completed_at, ...row }, ...names }) => ({
    ...row,
    ...names,
    created_at: iso(created_at),
    completed_at: isoOrNull(completed_at),
  }))
}

export async function findTokenization(db: Executor, id: string): Promise<Tokenization> {
  const [found] = await selectTokenizations(db, eq(tokenizations.id, id))
  if (found === undefined) throw notFound('tokenization', id)
  return found
}

/** The newest first, of a dataset or a model where the query names one. */
export async function listTokenizations(db: Executor, query: ParsedRequest<'listTokenizations'>['query']) {
  const { dataset_id, model_id } = query
  const where = and(
    dataset_id === undefined ? undefined : eq(tokenizations.dataset_id, dataset_id),
    model_id === undefined ? undefined : eq(tokenizations.model_id, model_id),
  )
  const data = await selectTokenizations(db, where, query)
  return pageOfItems({ data, total: await db.$count(tokenizations, where), query })
}

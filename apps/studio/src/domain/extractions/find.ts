// Extractions as the API shows them, with the names of SAE, model and datasets.
import { type Extraction, type ParsedRequest, stageOf } from '@mistudio/contract'
import { and, asc, desc, eq, inArray, type SQL } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { extractions, models, saes } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { datasetNames } from '../datasets/names.ts'
import { inOrderOf, iso, isoOrNull, type Paging, pageOfItems } from '../paging.ts'

async function selectExtractions(db: Executor, where: SQL | undefined, page: Paging): Promise<Extraction[]> {
  const found = await db
    .select({
      row: extractions,
      sae_name: saes.name,
      hook_point: saes.hook_point,
      layer: saes.layer,
      hook_type: saes.hook_type,
      model_name: models.name,
    })
    .from(extractions)
    .innerJoin(saes, eq(saes.id, extractions.sae_id))
    .innerJoin(models, eq(models.id, extractions.model_id))
    .where(where)
    .orderBy(desc(extractions.created_at), asc(extractions.batch_position), desc(extractions.id))
    .limit(page.limit)
    .offset(page.offset)
  const names = await datasetNames(
    db,
    found.map(({ row }) => row.dataset_ids),
  )
  return found.map(({ row, ...joined }) => {
    const { path: _path, nlp_job_id: _job, created_at, started_at, completed_at, ...rest } = row
    return {
      ...rest,
      ...joined,
      dataset_names: names(row.dataset_ids),
      stage: stageOf(row),
      created_at: iso(created_at),
      started_at: isoOrNull(started_at),
      completed_at: isoOrNull(completed_at),
    }
  })
}

/** In the order of the ids. */
export async function findExtractions(db: Executor, ids: readonly string[]): Promise<Extraction[]> {
  const found = await selectExtractions(db, inArray(extractions.id, [...ids]), {
    limit: ids.length,
    offset: 0,
  })
  return inOrderOf(ids, found)
}

export async function findExtraction(db: Executor, id: string): Promise<Extraction> {
  const [found] = await findExtractions(db, [id])
  if (found === undefined) throw notFound('extraction', id)
  return found
}

/** The newest first, a batch in its order; of an SAE or a batch where the query names one. */
export async function listExtractions(db: Executor, query: ParsedRequest<'listExtractions'>['query']) {
  const { sae_id, batch_id } = query
  const where = and(
    sae_id === undefined ? undefined : eq(extractions.sae_id, sae_id),
    batch_id === undefined ? undefined : eq(extractions.batch_id, batch_id),
  )
  const data = await selectExtractions(db, where, query)
  return pageOfItems({ data, total: await db.$count(extractions, where), query })
}

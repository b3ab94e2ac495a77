// Extractions: views, cancelling and deletion. How they are made: extraction_plan.ts.
import { type Extraction, extractionMachine, isTerminal, stageOf } from '@mistudio/contract'
import { and, asc, desc, eq, inArray, type SQL } from 'drizzle-orm'
import type { Executor } from '../db/connect.ts'
import { extractions, models, saes } from '../db/schema.ts'
import { forget, removeFolders } from '../domain/changes.ts'
import { datasetNames } from '../domain/datasets/names.ts'
import { createExtractions } from '../domain/extractions/plan.ts'
import { inOrderOf, iso, isoOrNull, type Paging, pageOfItems } from '../domain/paging.ts'
import type { Services } from '../domain/services.ts'
import { illegalMove, notFound } from '../problem.ts'
import { folders } from '../storage.ts'
import type { Handlers } from './register.ts'

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

async function findExtractions(db: Executor, ids: readonly string[]): Promise<Extraction[]> {
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

const nlpActive = (row: { nlp_status: Extraction['nlp_status'] }) =>
  row.nlp_status === 'pending' || row.nlp_status === 'processing'

/** The extraction while it is not completed, then its analysis. */
async function cancel({ db, host }: Services, id: string): Promise<Extraction> {
  const [row] = await db.select().from(extractions).where(eq(extractions.id, id))
  if (row === undefined) throw notFound('extraction', id)
  const analysis = row.status === 'completed' && nlpActive(row)
  const job = analysis ? row.nlp_job_id : row.job_id
  if (job === null || (!analysis && isTerminal(extractionMachine, row.status))) {
    throw illegalMove({
      entity: 'extraction',
      state: row.status,
      move: 'be cancelled',
      allowed: 'queued, extracting, or completed with an analysis that has not ended',
    })
  }
  await host.cancel(job)
  return findExtraction(db, id)
}

async function remove(services: Services, id: string): Promise<void> {
  const { log, shelf, storage } = services
  let path: string | null = null
  await log.write(async tx => {
    const [row] = await tx.select().from(extractions).where(eq(extractions.id, id)).for('update')
    if (row === undefined) throw notFound('extraction', id)
    const ended = isTerminal(extractionMachine, row.status)
    if (!ended || nlpActive(row)) {
      throw illegalMove({
        entity: 'extraction',
        state: ended ? `${row.status} with an analysis that is ${row.nlp_status}` : row.status,
        move: 'be deleted',
        allowed: 'completed, failed or cancelled, its analysis too',
      })
    }
    path = row.path
    // Its features go with it.
    await tx.delete(extractions).where(eq(extractions.id, id))
    return await forget(tx, [`extraction/${id}`])
  })
  if (path !== null) await shelf.drop(storage.resolve(path))
  await removeFolders(services, [folders.extraction(id)])
}

type Names =
  | 'listExtractions'
  | 'createExtractions'
  | 'getExtraction'
  | 'cancelExtraction'
  | 'deleteExtraction'

export function extractionHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    async listExtractions({ query }) {
      const { sae_id, batch_id } = query
      const where = and(
        sae_id === undefined ? undefined : eq(extractions.sae_id, sae_id),
        batch_id === undefined ? undefined : eq(extractions.batch_id, batch_id),
      )
      const data = await selectExtractions(db, where, query)
      return pageOfItems({ data, total: await db.$count(extractions, where), query })
    },
    async createExtractions({ body }) {
      const { batchId, created, skipped } = await createExtractions(services, body)
      return { batch_id: batchId, created: await findExtractions(db, created), skipped }
    },
    getExtraction: ({ params }) => findExtraction(db, params.id),
    cancelExtraction: ({ params }) => cancel(services, params.id),
    deleteExtraction: ({ params }) => remove(services, params.id),
  }
}

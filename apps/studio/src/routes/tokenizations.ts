// Tokenizations: a dataset under a model's tokenizer, once for each context size.
import { channelOf, type Tokenization } from '@mistudio/contract'
import { and, desc, eq, inArray, type SQL } from 'drizzle-orm'
import type { Executor, Transaction } from '../db/connect.ts'
import { datasets, jobs, models, tokenizations } from '../db/schema.ts'
import { changed } from '../domain/changes.ts'
import { jobEvent, newJob } from '../domain/jobs/job.ts'
import { iso, isoOrNull, type Paging, pageOfItems } from '../domain/paging.ts'
import type { Services } from '../domain/services.ts'
import type { NewEvent } from '../events/log.ts'
import { newId } from '../ids.ts'
import { notFound, ProblemError } from '../problem.ts'
import type { Handlers } from './register.ts'

type Row = typeof tokenizations.$inferSelect
type Dataset = typeof datasets.$inferSelect
type Model = typeof models.$inferSelect

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

/**
 * Datasets and model of a request, held in place until the transaction ends.
 * @param options.field where the datasets were given; default `dataset_ids`
 */
export async function lockTexts(
  tx: Transaction,
  options: { datasetIds: readonly string[]; modelId: string; field?: string },
): Promise<{ texts: Dataset[]; model: Model }> {
  const { datasetIds, modelId, field = 'dataset_ids' } = options
  const twice = datasetIds.find((id, i) => datasetIds.indexOf(id) < i)
  if (twice !== undefined) {
    throw new ProblemError('invalid', {
      title: 'a dataset is named twice',
      field,
      found: twice,
      expected: 'each dataset once',
    })
  }
  const [model] = await tx.select().from(models).where(eq(models.id, modelId)).for('share')
  if (model === undefined) throw notFound('model', modelId, 'model_id')
  const found = await tx
    .select()
    .from(datasets)
    .where(inArray(datasets.id, [...datasetIds]))
    .for('share')
  const texts = datasetIds.map(id => {
    const text = found.find(row => row.id === id)
    if (text === undefined) throw notFound('dataset', id, field)
    if (text.status !== 'ready') throw unusable('dataset', text.name, text.error_message)
    return text
  })
  if (model.status !== 'ready') throw unusable('model', model.name, model.error_message)
  return { texts, model }
}

const unusable = (entity: string, name: string, message: string | null) =>
  new ProblemError('conflict', {
    title: `the ${entity} cannot be used`,
    field: `${entity}_id`,
    found: message === null ? name : `${name}: ${message}`,
    expected: `a ${entity} that is ready`,
  })

export function checkContextSize(options: { size: number; model: Model; field: string }): void {
  const { size, model, field } = options
  if (size <= model.context_length) return
  throw new ProblemError('invalid', {
    title: 'the context is longer than the model reads',
    field,
    found: String(size),
    expected: `at most ${model.context_length} for ${model.name}`,
  })
}

/**
 * The tokenizations of datasets for a model in every context size asked for; those that are missing are made and queued.
 * @returns for each size the jobs that have to complete before all datasets can be read, and the events of making them
 */
export async function ensureTokenizations(
  tx: Transaction,
  options: { texts: readonly Dataset[]; model: Model; contextSizes: readonly number[] },
): Promise<{ needs: Map<number, string[]>; events: NewEvent[] }> {
  const { texts, model, contextSizes } = options
  const needs = new Map<number, string[]>()
  const events: NewEvent[] = []
  // In one order for all: requests at once wait for each other's rows, and must not do so in a circle.
  const sorted = texts.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  for (const contextSize of [...new Set(contextSizes)].sort((a, b) => a - b)) {
    const jobIds: string[] = []
    for (const text of sorted) {
      const ensured = await ensureTokenization(tx, { text, model, contextSize })
      jobIds.push(...ensured.needs)
      events.push(...ensured.events)
    }
    needs.set(contextSize, jobIds)
  }
  return { needs, events }
}

async function ensureTokenization(
  tx: Transaction,
  options: { text: Dataset; model: Model; contextSize: number },
): Promise<{ id: string; needs: string[]; events: NewEvent[] }> {
  const { text, model, contextSize } = options
  const id = newId('tokenization')
  const entity = channelOf.tokenization(id)
  const job = newJob({ kind: 'tokenize', entity, title: `Tokenize ${text.name} for ${model.name}` })
  const values = { id, dataset_id: text.id, model_id: model.id, context_size: contextSize, job_id: job.id }
  // Two at once: the second waits here until the first has ended, and finds its row below.
  const [made] = await tx
    .insert(tokenizations)
    .values({ ...values, status: 'queued' })
    .onConflictDoNothing()
    .returning()
  if (made !== undefined) {
    await tx.insert(jobs).values(job)
    const data = { tokenization_id: id, status: made.status, error_message: null }
    const events = [
      { channel: entity, event: 'tokenization:status', data } as const,
      jobEvent(job),
      changed(entity, 'created'),
    ]
    return { id, needs: [job.id], events }
  }
  const [row] = await tx
    .select()
    .from(tokenizations)
    .where(
      and(
        eq(tokenizations.dataset_id, text.id),
        eq(tokenizations.model_id, model.id),
        eq(tokenizations.context_size, contextSize),
        inArray(tokenizations.status, ['queued', 'tokenizing', 'ready']),
      ),
    )
  // It failed between the two statements.
  if (row === undefined) return ensureTokenization(tx, options)
  return { id: row.id, needs: needsOf(row), events: [] }
}

const needsOf = (row: Row) => (row.status === 'ready' || row.job_id === null ? [] : [row.job_id])

export async function createTokenization(
  services: Services,
  options: { datasetId: string; modelId: string; contextSize: number },
): Promise<Tokenization> {
  const { db, log, host } = services
  const { datasetId, modelId, contextSize } = options
  let id = ''
  await log.write(async tx => {
    const { texts, model } = await lockTexts(tx, { datasetIds: [datasetId], modelId, field: 'dataset_id' })
    checkContextSize({ size: contextSize, model, field: 'context_size' })
    const ensured = await ensureTokenization(tx, { text: texts[0], model, contextSize })
    id = ensured.id
    return ensured.events
  })
  host.wake()
  return findTokenization(db, id)
}

type Names = 'listTokenizations' | 'createTokenization' | 'getTokenization' | 'cancelTokenization'

export function tokenizationHandlers(services: Services): Pick<Handlers, Names> {
  const { db, host } = services
  return {
    async listTokenizations({ query }) {
      const { dataset_id, model_id } = query
      const where = and(
        dataset_id === undefined ? undefined : eq(tokenizations.dataset_id, dataset_id),
        model_id === undefined ? undefined : eq(tokenizations.model_id, model_id),
      )
      const data = await selectTokenizations(db, where, query)
      return pageOfItems({ data, total: await db.$count(tokenizations, where), query })
    },
    createTokenization: ({ body }) =>
      createTokenization(services, {
        datasetId: body.dataset_id,
        modelId: body.model_id,
        contextSize: body.context_size,
      }),
    getTokenization: ({ params }) => findTokenization(db, params.id),
    async cancelTokenization({ params }) {
      const { job_id } = await findTokenization(db, params.id)
      if (job_id !== null) await host.cancel(job_id)
      return findTokenization(db, params.id)
    },
  }
}

// The token stores that a job needs: those that are there or on their way, and jobs for those that are missing.
import { channelOf } from '@mistudio/contract'
import { and, eq, inArray } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { type datasets, jobs, type models, tokenizations } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { newId } from '../../ids.ts'
import { changed } from '../changes.ts'
import { jobEvent, newJob } from '../jobs/job.ts'

type Row = typeof tokenizations.$inferSelect
type Dataset = typeof datasets.$inferSelect
type Model = typeof models.$inferSelect

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

/** A dataset under a model's tokenizer, once for each context size. */
export async function ensureTokenization(
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

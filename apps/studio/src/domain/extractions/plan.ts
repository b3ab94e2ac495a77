// A request for extractions becomes rows and a chain of jobs, all in one transaction. In a batch each member's first
// job comes `after` the last job of the member before, however that one ends: so the chain goes on.
import { channelOf, type ExtractionRequest } from '@mistudio/contract'
import { InputError } from '@mistudio/files'
import { describeSae } from '@mistudio/sae'
import { and, asc, eq, inArray } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { extractions, jobs, models, saes } from '../../db/schema.ts'
import { newId } from '../../ids.ts'
import { notFound, ProblemError } from '../../problem.ts'
import type { Storage } from '../../storage.ts'
import { changed, inSequence } from '../changes.ts'
import { jobEvent, newJob } from '../jobs/job.ts'
import type { Services } from '../services.ts'
import { ensureTokenizations } from '../tokenizations/ensure.ts'
import { checkContextSize, lockTexts } from '../tokenizations/texts.ts'
import { extractionState } from './move.ts'

type Sae = typeof saes.$inferSelect
/** `contextSize`: tokens of the contexts it was trained on; undefined where its files do not say. */
type Member = { sae: Sae; contextSize: number | undefined }
type Skipped = { sae_id: string; sae_name: string | null; reason: string }
type Created = { batchId: string | null; created: string[]; skipped: Skipped[] }

const usualContextSize = 128

export async function createExtractions(services: Services, request: ExtractionRequest): Promise<Created> {
  const { log, host, storage } = services
  const { sae_id, dataset_ids: datasetIds, config } = request
  const result: Created = { batchId: null, created: [], skipped: [] }
  await log.write(async tx => {
    const { members, skipped } = await judge(tx, storage, request.sae_ids ?? [sae_id!])
    if (members.length === 0) throw nothingRuns(skipped, sae_id)
    const { texts, model } = await lockTexts(tx, { datasetIds, modelId: members[0].sae.model_id })
    if (config.context_size !== undefined) {
      checkContextSize({ size: config.context_size, model, field: 'config.context_size' })
    }
    const batchId = members.length > 1 ? newId('batch') : null
    const rows: (typeof extractions.$inferInsert)[] = []
    const chain: ReturnType<typeof newJob>[] = []
    const sizes = members.map(
      ({ contextSize = usualContextSize }) =>
        config.context_size ?? Math.min(contextSize, model.context_length),
    )
    const tokenized = await ensureTokenizations(tx, { texts, model, contextSizes: sizes })
    const events = [...tokenized.events]
    for (const [i, { sae }] of members.entries()) {
      const contextSize = sizes[i]
      const needs = tokenized.needs.get(contextSize)
      const id = newId('extraction')
      const entity = channelOf.extraction(id)
      const after = chain.slice(-1).map(previous => previous.id)
      const extract = newJob({
        kind: 'extract',
        entity,
        title: `Extract features of ${sae.name}`,
        needs,
        after,
      })
      const title = `Analyse features of ${sae.name}`
      const nlp = config.auto_nlp ? newJob({ kind: 'nlp', entity, title, needs: [extract.id] }) : undefined
      chain.push(extract, ...(nlp === undefined ? [] : [nlp]))
      const row = {
        id,
        sae_id: sae.id,
        training_id: sae.training_id,
        model_id: model.id,
        dataset_ids: datasetIds,
        config: { ...config, context_size: contextSize },
        status: 'queued' as const,
        nlp_status: nlp === undefined ? null : ('pending' as const),
        ...(batchId !== null && { batch_id: batchId, batch_position: i + 1, batch_total: members.length }),
        job_id: extract.id,
        nlp_job_id: nlp?.id ?? null,
      }
      rows.push(row)
      const data = { ...extractionState(row), error_message: null }
      events.push({ channel: entity, event: 'extraction:status', data }, changed(entity, 'created'))
    }
    await tx.insert(extractions).values(rows)
    await tx.insert(jobs).values(inSequence(chain))
    Object.assign(result, { batchId, created: rows.map(({ id }) => id), skipped })
    return [...events, ...chain.map(jobEvent)]
  })
  host.wake()
  return result
}

/** Which SAEs can run together, in the order asked for, and why the others cannot. Holds them until the end. */
async function judge(
  tx: Transaction,
  storage: Storage,
  ids: readonly string[],
): Promise<{ members: Member[]; skipped: Skipped[] }> {
  // Locked in one order by all, so that two requests at once wait for each other instead of for ever.
  const found = await tx
    .select({ sae: saes, modelName: models.name })
    .from(saes)
    .innerJoin(models, eq(models.id, saes.model_id))
    .where(inArray(saes.id, [...ids]))
    .orderBy(asc(saes.id))
    .for('update', { of: saes })
  const active = await tx
    .select({ id: extractions.sae_id, status: extractions.status })
    .from(extractions)
    .where(and(inArray(extractions.sae_id, [...ids]), inArray(extractions.status, ['queued', 'extracting'])))
  const members: Member[] = []
  const skipped: Skipped[] = []
  let first: (typeof found)[number] | undefined
  for (const [i, id] of ids.entries()) {
    const one = found.find(({ sae }) => sae.id === id)
    const skip = (reason: string) => skipped.push({ sae_id: id, sae_name: one?.sae.name ?? null, reason })
    const busy = active.find(extraction => extraction.id === id)
    if (one === undefined) skip('there is no such SAE')
    else if (ids.indexOf(id) < i) skip('it is named twice')
    else if (one.sae.status !== 'ready') skip(one.sae.error_message ?? 'it cannot be used')
    else if (busy !== undefined) skip(`it has an extraction that is ${busy.status}`)
    else if (first !== undefined && one.sae.model_id !== first.sae.model_id) {
      skip(`it belongs to the model ${one.modelName}, not to ${first.modelName} as the first`)
    } else {
      try {
        const { metadata } = describeSae({ dir: storage.resolve(one.sae.path) })
        const contextSize = metadata.contextSize >= 2 ? metadata.contextSize : undefined
        members.push({ sae: one.sae, contextSize })
        first ??= one
      } catch (error) {
        if (!(error instanceof InputError)) throw error
        skip(`its files cannot be used: ${error.message}`)
      }
    }
  }
  return { members, skipped }
}

function nothingRuns(skipped: readonly Skipped[], single: string | undefined): ProblemError {
  const [{ sae_id, sae_name, reason }] = skipped
  if (single !== undefined && sae_name === null) return notFound('SAE', sae_id, 'sae_id')
  return new ProblemError('conflict', {
    title: 'no extraction can start',
    field: single === undefined ? 'sae_ids' : 'sae_id',
    found: skipped.map(one => `${one.sae_name ?? one.sae_id}: ${one.reason}`).join('; ') || reason,
    expected: 'an SAE that can run',
  })
}

// Extract: features of one SAE. Its features become rows when the runner is done, in pieces, before the extraction
// is said to be completed; a crash in between does it again from the same files.
import { join } from 'node:path'
import { openExtraction } from '@mistudio/feature'
import { eq } from 'drizzle-orm'
import { insertChunked } from '../../db/chunked.ts'
import type { Transaction } from '../../db/connect.ts'
import { extractions, features, models, saes } from '../../db/schema.ts'
import { extractionCounters, extractionState, moveExtraction } from '../../domain/extractions/move.ts'
import { featureRows } from '../../domain/features/rows.ts'
import { entityId } from '../../domain/jobs/job.ts'
import { allStores } from '../../domain/tokenizations/ready.ts'
import type { NewEvent } from '../../events/log.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'

const extractionOf = (path: string) => `${path}/extraction`
const rowsPerChunk = 500
/** Under the two seconds of the progress rule, with room for a transaction that others hold up. */
const beatMs = 1500

export default defineKind('extract', {
  folder: job => folders.extraction(entityId(job)),
  async prepare({ database: { db }, storage }, job, out) {
    const extractionId = entityId(job)
    const [row] = await db
      .select()
      .from(extractions)
      .innerJoin(models, eq(models.id, extractions.model_id))
      .innerJoin(saes, eq(saes.id, extractions.sae_id))
      .where(eq(extractions.id, extractionId))
    if (row === undefined) throw new Error('the extraction is gone')
    const { dataset_ids, config } = row.extractions
    const stores = await allStores(db, {
      datasetIds: dataset_ids,
      modelId: row.models.id,
      // The plan of the extraction wrote down which.
      contextSize: config.context_size!,
      of: 'extraction',
    })
    return {
      extractionId,
      modelDir: storage.modelDir(row.models.path),
      cacheDir: storage.cacheDir,
      saeDir: storage.resolve(row.saes.path),
      stores: stores.map(({ path }) => storage.resolve(path)),
      config,
      out,
    }
  },
  async started(tx, job) {
    const changes = { error_message: null, ...(job.attempt === 1 && { started_at: new Date() }) }
    return (await moveExtraction(tx, entityId(job), { status: 'extracting' }, changes)).events
  },
  async event(tx, job, { event, data }) {
    if (event !== 'extraction:progress' && event !== 'extraction:completed')
      throw new Error(`unexpected ${event}`)
    const { phase: _, extraction_id: id, ...counters } = data
    const [row] = await tx.update(extractions).set(counters).where(eq(extractions.id, id)).returning()
    // Also the runner's last event: the host says `completed` itself, once the features are rows.
    const full = { ...data, ...extractionState(row) }
    return {
      events: [{ channel: job.entity, event: 'extraction:progress', data: full }],
      progress: data.progress,
    }
  },
  async requeued(tx, job) {
    return (await moveExtraction(tx, entityId(job), { status: 'queued' }, { progress: 0 })).events
  },
  async failed(tx, job, message) {
    return (await moveExtraction(tx, entityId(job), { status: 'failed' }, { error_message: message })).events
  },
  async cancelled(tx, job, reason) {
    const changes = { error_message: reason ?? null }
    return (await moveExtraction(tx, entityId(job), { status: 'cancelled' }, changes)).events
  },
  async collect({ log, onError }, job, _result, out) {
    const extraction = await openExtraction({ dir: join(out, 'extraction') })
    const id = entityId(job)
    // Its features are being written still, and it says so: no two events are further apart than while it ran.
    const beat = setInterval(() => void log.write(tx => stillWriting(tx, id)).catch(onError), beatMs)
    try {
      const rows = await featureRows({ extraction, extractionId: id })
      await log.write(async tx => {
        await tx.delete(features).where(eq(features.extraction_id, id))
        return []
      })
      // A transaction a piece: the server answers in between.
      for (let i = 0; i < rows.length; i += rowsPerChunk) {
        const piece = rows.slice(i, i + rowsPerChunk)
        await log.write(async tx => {
          await insertChunked({ tx, table: features, rows: piece, chunkRows: rowsPerChunk })
          return []
        })
      }
    } finally {
      clearInterval(beat)
      extraction.close()
    }
  },
  async completed(tx, job, { result, path }) {
    const { features: total, featuresAlive, tokens, complete } = result
    const values = {
      path: extractionOf(path),
      features: total,
      features_alive: featuresAlive,
      tokens,
      complete,
      progress: 1,
    }
    const { row } = await moveExtraction(tx, entityId(job), { status: 'completed' }, values)
    return [
      { channel: job.entity, event: 'extraction:completed', data: { ...measured(row), eta_seconds: 0 } },
    ]
  },
  endedEarly: ({ complete }) => !complete,
})

async function stillWriting(tx: Transaction, id: string): Promise<NewEvent[]> {
  const [row] = await tx.select().from(extractions).where(eq(extractions.id, id))
  if (row?.status !== 'extracting') return []
  return [{ channel: `extraction/${id}`, event: 'extraction:progress', data: measured(row) }]
}

/** The fields of an event, from the row. */
const measured = (row: typeof extractions.$inferSelect) => ({
  ...extractionState(row),
  phase: 'writing' as const,
  ...extractionCounters(row),
})

// NLP: the analysis of a completed extraction's examples. Its failure is its own: the extraction stays completed.
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { and, eq, sql } from 'drizzle-orm'
import { extractions, features } from '../../db/schema.ts'
import { extractionState, moveExtraction } from '../../domain/extractions/move.ts'
import { nlpSearchText } from '../../domain/features/rows.ts'
import { entityId } from '../../domain/jobs/job.ts'
import type { NlpLine } from '../../runners/spec.ts'
import { folders } from '../../storage.ts'
import { defineKind } from '../kind.ts'

const rowsPerChunk = 200

export default defineKind('nlp', {
  folder: job => `${folders.extraction(entityId(job))}/nlp`,
  async prepare({ database: { db }, storage }, job, out) {
    const extractionId = entityId(job)
    const [row] = await db.select().from(extractions).where(eq(extractions.id, extractionId))
    if (row?.path == null) throw new Error('the extraction is gone')
    return { extractionId, extractionDir: storage.resolve(row.path), out }
  },
  async started(tx, job) {
    const to = { nlp_status: 'processing' as const }
    return (await moveExtraction(tx, entityId(job), to, { nlp_error_message: null })).events
  },
  async event(tx, job, { event, data }) {
    if (event !== 'extraction:nlp_progress') throw new Error(`unexpected ${event}`)
    const { nlp_progress, nlp_processed_count } = data
    const [row] = await tx
      .update(extractions)
      .set({ nlp_progress, nlp_processed_count })
      .where(eq(extractions.id, entityId(job)))
      .returning()
    const full = { ...data, ...extractionState(row) }
    return { events: [{ channel: job.entity, event, data: full }], progress: nlp_progress }
  },
  async requeued(tx, job) {
    return (await moveExtraction(tx, entityId(job), { nlp_status: 'pending' }, { nlp_progress: 0 })).events
  },
  async failed(tx, job, message) {
    const to = { nlp_status: 'failed' as const }
    return (await moveExtraction(tx, entityId(job), to, { nlp_error_message: message })).events
  },
  async cancelled(tx, job, reason) {
    const to = { nlp_status: 'cancelled' as const }
    return (await moveExtraction(tx, entityId(job), to, { nlp_error_message: reason ?? null })).events
  },
  async collect({ log }, job, _result, out) {
    const id = entityId(job)
    let piece: NlpLine[] = []
    const store = async () => {
      const lines = piece
      piece = []
      if (lines.length === 0) return
      await log.write(async tx => {
        for (const { feature, nlp } of lines) {
          await tx
            .update(features)
            .set({
              nlp,
              nlp_summary: nlp.summary,
              search_text: sql`${features.search_text} || ${nlpSearchText(nlp)}`,
            })
            .where(
              and(
                eq(features.extraction_id, id),
                eq(features.feature, feature),
                sql`${features.nlp} is null`,
              ),
            )
        }
        return []
      })
    }
    // It closes itself after the last line.
    const file = await open(join(out, 'nlp.jsonl'))
    for await (const line of file.readLines()) {
      piece.push(JSON.parse(line) as NlpLine)
      if (piece.length >= rowsPerChunk) await store()
    }
    await store()
  },
  async completed(tx, job, { result }) {
    const { features: processed } = result
    const changes = { nlp_progress: 1, nlp_processed_count: processed }
    return (await moveExtraction(tx, entityId(job), { nlp_status: 'completed' }, changes)).events
  },
  endedEarly: ({ complete }) => !complete,
  // An analysis without its extraction has not failed: there is nothing to analyse.
  whenNeedFailed: 'cancelled',
})

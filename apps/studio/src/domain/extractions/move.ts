// Moving an extraction or its analysis: the row and the event that tells of it, in the transaction of whoever moves it.
import {
  type ExtractionStatus,
  extractionMachine,
  type NlpStatus,
  nlpMachine,
  stageOf,
} from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { extractions } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { notFound } from '../../problem.ts'
import { checkMove } from '../moves.ts'

type Extraction = typeof extractions.$inferSelect

/** Moves the extraction, its analysis, or both. */
export async function moveExtraction(
  tx: Transaction,
  id: string,
  to: { status?: ExtractionStatus; nlp_status?: NlpStatus },
  changes: Partial<Extraction> = {},
): Promise<{ row: Extraction; events: NewEvent[] }> {
  const [row] = await tx.select().from(extractions).where(eq(extractions.id, id)).for('update')
  if (row === undefined) throw notFound('extraction', id)
  if (to.status !== undefined && to.status !== row.status) checkMove(extractionMachine, row.status, to.status)
  if (to.nlp_status !== undefined && row.nlp_status !== null && to.nlp_status !== row.nlp_status) {
    checkMove(nlpMachine, row.nlp_status, to.nlp_status)
  }
  const ended = to.status === 'completed' || to.status === 'failed' || to.status === 'cancelled'
  const values = { ...to, ...(ended && { completed_at: new Date(), eta_seconds: null }), ...changes }
  await tx.update(extractions).set(values).where(eq(extractions.id, id))
  const moved = { ...row, ...values }
  return { row: moved, events: [extractionStatusEvent(moved)] }
}

export const extractionState = (row: Pick<Extraction, 'id' | 'status' | 'nlp_status'>) => ({
  extraction_id: row.id,
  status: row.status,
  nlp_status: row.nlp_status,
  stage: stageOf(row),
})

/** The counters of a progress event, as the row has them. */
export const extractionCounters = (row: Extraction) => ({
  progress: row.progress,
  current_batch: row.current_batch,
  total_batches: row.total_batches,
  samples_processed: row.samples_processed,
  total_samples: row.total_samples,
  samples_per_second: row.samples_per_second,
  mean_samples_per_second: row.mean_samples_per_second,
  eta_seconds: row.eta_seconds,
  features_in_heap: row.features_in_heap,
  heap_examples_count: row.heap_examples_count,
})

function extractionStatusEvent(row: Extraction): NewEvent {
  const channel = `extraction/${row.id}`
  const data = extractionState(row)
  if (row.status === 'failed') {
    const error_message = row.error_message ?? 'unknown'
    return {
      channel,
      event: 'extraction:failed',
      data: { ...data, ...extractionCounters(row), error_message },
    }
  }
  const error_message = row.error_message ?? row.nlp_error_message
  return { channel, event: 'extraction:status', data: { ...data, error_message } }
}

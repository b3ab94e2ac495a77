// Moving a job and what it works for, in one transaction with the events that tell of it. The state machines of the
// contract are checked here and nowhere else.
import {
  canMove,
  type ExtractionStatus,
  extractionMachine,
  type JobStatus,
  jobMachine,
  type Machine,
  type NlpStatus,
  nlpMachine,
  stageOf,
  type TokenizationStatus,
  type TrainingStatus,
  tokenizationMachine,
  trainingMachine,
} from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../db/connect.ts'
import { extractions, jobs, tokenizations, trainings } from '../db/schema.ts'
import type { NewEvent } from '../events/log.ts'
import { illegalMove, notFound } from '../problem.ts'
import { type JobRow, jobEvent } from './jobs/job.ts'

function check<S extends string>(machine: Machine<S>, from: S, to: S): void {
  if (canMove(machine, from, to)) return
  const allowed = machine.moves[from].join(', ') || 'nothing: it has ended'
  throw illegalMove({ entity: machine.entity, state: from, move: `become ${to}`, allowed })
}

export async function lockJob(tx: Transaction, id: string): Promise<JobRow> {
  const [job] = await tx.select().from(jobs).where(eq(jobs.id, id)).for('update')
  if (job === undefined) throw notFound('job', id)
  return job
}

/** @param job as locked in this transaction; it is changed with the row */
export async function moveJob(
  tx: Transaction,
  job: JobRow,
  status: JobStatus,
  changes: Partial<JobRow> = {},
): Promise<NewEvent[]> {
  check(jobMachine, job.status, status)
  const left =
    status === 'running' ? {} : { host: null, lease_until: null, runner_pid: null, runner_started: null }
  const ended = status === 'completed' || status === 'failed' || status === 'cancelled'
  const values = {
    status,
    ...left,
    ...(ended && { ended_at: new Date(), request: null }),
    ...(status === 'completed' && { progress: 1 }),
    ...changes,
  }
  await tx.update(jobs).set(values).where(eq(jobs.id, job.id))
  Object.assign(job, values)
  return [jobEvent(job)]
}

type Training = typeof trainings.$inferSelect
type Extraction = typeof extractions.$inferSelect
type Tokenization = typeof tokenizations.$inferSelect

export async function moveTraining(
  tx: Transaction,
  id: string,
  status: TrainingStatus,
  changes: Partial<Training> = {},
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(trainings).where(eq(trainings.id, id)).for('update')
  if (row === undefined) throw notFound('training', id)
  if (row.status !== status) check(trainingMachine, row.status, status)
  const ended = status === 'completed' || status === 'failed' || status === 'cancelled'
  const still = status === 'running' || status === 'initializing'
  const values = {
    status,
    ...(ended && { completed_at: new Date() }),
    ...(!still && { tokens_per_second: null, eta_seconds: null, memory_bytes: null }),
    ...changes,
  }
  await tx.update(trainings).set(values).where(eq(trainings.id, id))
  const error_message = values.error_message ?? row.error_message
  const channel = `training/${id}`
  const data = { training_id: id, status }
  if (status === 'failed') {
    return [
      { channel, event: 'training:failed', data: { ...data, error_message: error_message ?? 'unknown' } },
    ]
  }
  return [{ channel, event: 'training:status', data: { ...data, error_message } }]
}

/** Moves the extraction, its analysis, or both. */
export async function moveExtraction(
  tx: Transaction,
  id: string,
  to: { status?: ExtractionStatus; nlp_status?: NlpStatus },
  changes: Partial<Extraction> = {},
): Promise<{ row: Extraction; events: NewEvent[] }> {
  const [row] = await tx.select().from(extractions).where(eq(extractions.id, id)).for('update')
  if (row === undefined) throw notFound('extraction', id)
  if (to.status !== undefined && to.status !== row.status) check(extractionMachine, row.status, to.status)
  if (to.nlp_status !== undefined && row.nlp_status !== null && to.nlp_status !== row.nlp_status) {
    check(nlpMachine, row.nlp_status, to.nlp_status)
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

export async function moveTokenization(
  tx: Transaction,
  id: string,
  status: TokenizationStatus,
  changes: Partial<Tokenization> = {},
): Promise<NewEvent[]> {
  const [row] = await tx.select().from(tokenizations).where(eq(tokenizations.id, id)).for('update')
  if (row === undefined) throw notFound('tokenization', id)
  if (row.status !== status) check(tokenizationMachine, row.status, status)
  const ended = status === 'ready' || status === 'failed' || status === 'cancelled'
  const values = { status, ...(ended && { completed_at: new Date() }), ...changes }
  await tx.update(tokenizations).set(values).where(eq(tokenizations.id, id))
  const error_message = values.error_message ?? row.error_message
  const data = { tokenization_id: id, status, error_message }
  return [{ channel: `tokenization/${id}`, event: 'tokenization:status', data }]
}

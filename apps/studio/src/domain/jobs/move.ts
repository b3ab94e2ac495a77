// Moving a job: its row and the event that tells of it, in the transaction of whoever moves it.
import { type JobStatus, jobMachine } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Transaction } from '../../db/connect.ts'
import { jobs } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { notFound } from '../../problem.ts'
import { checkMove } from '../moves.ts'
import { type JobRow, jobEvent } from './job.ts'

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
  checkMove(jobMachine, job.status, status)
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

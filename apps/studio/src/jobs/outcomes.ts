// Where a job goes when its runner has ended: the job's row and what it works for, moved together.
import type { Transaction } from '../db/connect.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { moveJob } from '../domain/jobs/move.ts'
import type { NewEvent } from '../events/log.ts'
import type { RunnerResult } from '../runners/spec.ts'
import { kinds } from './kinds.ts'

/** Crashes of a runner without getting further, after which its job has failed. */
const crashesAllowed = 5

export async function failJob(
  tx: Transaction,
  job: JobRow,
  message: string,
  changes: Partial<JobRow> = {},
): Promise<NewEvent[]> {
  return [
    ...(await moveJob(tx, job, 'failed', { ...changes, error_message: message })),
    ...(await kinds[job.kind].failed(tx, job, message)),
  ]
}

export async function cancelJob(tx: Transaction, job: JobRow, reason?: string): Promise<NewEvent[]> {
  return [
    ...(await moveJob(tx, job, 'cancelled', { error_message: reason ?? null })),
    ...(await kinds[job.kind].cancelled(tx, job, reason)),
  ]
}

/** A runner is gone without a result: what was asked of its job decides where that goes. */
export async function requeueJob(
  tx: Transaction,
  job: JobRow,
  changes: Partial<JobRow> = {},
): Promise<NewEvent[]> {
  const kind = kinds[job.kind]
  switch (job.request) {
    case 'cancel':
      return await cancelJob(tx, job)
    case 'pause':
      // Where it stands is in its checkpoint.
      return [
        ...(await moveJob(tx, job, 'paused', { ...changes, request: null })),
        ...((await kind.paused?.(tx, job)) ?? []),
      ]
    case 'stop':
    case null:
      return [...(await moveJob(tx, job, 'queued', changes)), ...(await kind.requeued(tx, job))]
  }
}

/** @param closing the host ended the runner because it ends itself */
export async function crashJob(
  tx: Transaction,
  job: JobRow,
  options: { message: string; closing: boolean },
): Promise<NewEvent[]> {
  if (options.closing || job.request !== null) return await requeueJob(tx, job)
  const crashes = job.crashes + 1
  if (crashes < crashesAllowed) return await requeueJob(tx, job, { crashes })
  const message = `its process ended ${crashes} times without getting further; the last time: ${options.message}`
  return await failJob(tx, job, message, { crashes })
}

/** @param path the attempt's folder, relative to the data folder */
export async function finishJob(
  tx: Transaction,
  job: JobRow,
  options: { result: RunnerResult; path: string },
): Promise<NewEvent[]> {
  const kind = kinds[job.kind]
  if (!kind.endedEarly(options.result)) {
    return [...(await moveJob(tx, job, 'completed')), ...(await kind.completed(tx, job, options))]
  }
  if (job.request === 'stop' && kind.stopped !== undefined) {
    return [...(await moveJob(tx, job, 'completed')), ...(await kind.stopped(tx, job, options))]
  }
  return await requeueJob(tx, job)
}

/** A job that can never start: one it needs has ended without completing. */
export async function giveUpJob(
  tx: Transaction,
  job: JobRow,
  cause: JobRow | undefined,
): Promise<NewEvent[]> {
  const what = cause === undefined ? 'a job it needs is gone' : `${cause.title}: ${cause.status}`
  const reason = cause?.error_message ? `${what}: ${cause.error_message}` : what
  const failed = cause?.status === 'failed' && kinds[job.kind].whenNeedFailed === 'failed'
  if (failed) return await failJob(tx, job, reason)
  return await cancelJob(tx, job, reason)
}

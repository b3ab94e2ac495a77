// What a person asks of a job: pause, resume, stop, cancel. A job that does not run is moved at once; of one that
// runs the wish is written into its row, where it outlives host and runner, and its runner is told.
import { isTerminal, jobMachine } from '@mistudio/contract'
import { eq } from 'drizzle-orm'
import type { Database, Transaction } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import type { JobRequests } from '../domain/jobs/control.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { lockJob, moveJob } from '../domain/jobs/move.ts'
import type { EventLog, NewEvent } from '../events/log.ts'
import { illegalMove } from '../problem.ts'
import { folders } from '../storage.ts'
import { kinds } from './kinds.ts'
import { cancelJob } from './outcomes.ts'

export type JobRequest = NonNullable<JobRow['request']>

export function createJobRequests(options: {
  db: Database
  log: EventLog
  /** Tells the runner of a job, if it is here. */
  tell: (jobId: string, request: JobRequest) => void
  wake: () => void
}): JobRequests {
  const { db, log, tell, wake } = options

  async function ask(id: string, request: JobRequest): Promise<void> {
    await db.update(jobs).set({ request }).where(eq(jobs.id, id))
    tell(id, request)
  }

  /** @returns whether it runs, so that its runner has to be asked */
  async function moveIdle(
    id: string,
    move: (tx: Transaction, job: JobRow) => Promise<NewEvent[]>,
  ): Promise<boolean> {
    let runs = false
    await log.write(async tx => {
      const job = await lockJob(tx, id)
      runs = job.status === 'running'
      return runs ? [] : await move(tx, job)
    })
    return runs
  }

  return {
    async pause(id) {
      const runs = await moveIdle(id, async (tx, job) => {
        const kind = kinds[job.kind]
        if (kind.paused === undefined || job.status !== 'queued')
          throw refusal(job, 'pause', 'queued or running')
        return [...(await moveJob(tx, job, 'paused')), ...(await kind.paused(tx, job))]
      })
      if (runs) await ask(id, 'pause')
    },
    async resume(id) {
      await log.write(async tx => {
        const job = await lockJob(tx, id)
        const kind = kinds[job.kind]
        if (kind.resumed === undefined || job.status !== 'paused') throw refusal(job, 'resume', 'paused')
        return [...(await moveJob(tx, job, 'queued', { request: null })), ...(await kind.resumed(tx, job))]
      })
      wake()
    },
    async stop(id, { keep }) {
      const runs = await moveIdle(id, async (tx, job) => {
        const kind = kinds[job.kind]
        if (isTerminal(jobMachine, job.status)) throw refusal(job, 'stop', 'queued, running or paused')
        // A paused training has its SAEs beside the checkpoint; one that never ran has nothing to keep.
        if (keep && job.status === 'paused' && job.attempt > 0 && kind.stopped !== undefined) {
          const path = folders.attempt(kind.folder(job), job.attempt)
          return [...(await moveJob(tx, job, 'completed')), ...(await kind.stopped(tx, job, { path }))]
        }
        return await cancelJob(tx, job)
      })
      if (runs) await ask(id, keep ? 'stop' : 'cancel')
      wake()
    },
    async cancel(id) {
      const runs = await moveIdle(id, async (tx, job) => {
        if (isTerminal(jobMachine, job.status)) throw refusal(job, 'cancel', 'queued, running or paused')
        return await cancelJob(tx, job)
      })
      if (runs) await ask(id, 'cancel')
      wake()
    },
  }
}

const refusal = (job: JobRow, move: string, allowed: string) =>
  illegalMove({ entity: kinds[job.kind].subject, state: job.status, move, allowed })

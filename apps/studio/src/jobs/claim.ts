// Which job is next, and taking it: of two hosts that look at once, the row's lock lets one have it.
import { asc, eq, inArray } from 'drizzle-orm'
import type { Database } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { lockJob, moveJob } from '../domain/jobs/move.ts'
import type { EventLog } from '../events/log.ts'
import { kinds } from './kinds.ts'
import { leaseEnd } from './lease.ts'
import { giveUpJob } from './outcomes.ts'
import { readiness } from './ready.ts'

export type NextJob =
  | { kind: 'none' }
  | { kind: 'ready'; id: string }
  /** It can never start, because of another job. */
  | { kind: 'doomed'; id: string; by: string }

/** The oldest queued job that does not wait for another. */
export async function nextJob(db: Database): Promise<NextJob> {
  const queued = await db
    .select()
    .from(jobs)
    .where(eq(jobs.status, 'queued'))
    .orderBy(asc(jobs.created_at), asc(jobs.id))
  if (queued.length === 0) return { kind: 'none' }
  const named = [...new Set(queued.flatMap(({ needs, after }) => [...needs, ...after]))]
  const others =
    named.length === 0
      ? []
      : await db.select({ id: jobs.id, status: jobs.status }).from(jobs).where(inArray(jobs.id, named))
  const statuses = new Map(others.map(({ id, status }) => [id, status]))
  for (const candidate of queued) {
    const found = readiness({ ...candidate, statusOf: id => statuses.get(id) })
    if (found.kind !== 'waiting') return { ...found, id: candidate.id }
  }
  return { kind: 'none' }
}

export async function giveUp(options: { log: EventLog; id: string; by: string }): Promise<void> {
  const { log, id, by } = options
  await log.write(async tx => {
    const [cause] = await tx.select().from(jobs).where(eq(jobs.id, by))
    const job = await lockJob(tx, id)
    return job.status === 'queued' ? await giveUpJob(tx, job, cause) : []
  })
}

/** @returns the job as it runs now; undefined where it is not queued any more */
export async function claimJob(options: {
  log: EventLog
  hostId: string
  id: string
}): Promise<JobRow | undefined> {
  const { log, hostId, id } = options
  let claimed: JobRow | undefined
  await log.write(async tx => {
    const job = await lockJob(tx, id)
    if (job.status !== 'queued') return []
    const changes = {
      attempt: job.attempt + 1,
      host: hostId,
      lease_until: leaseEnd(),
      started_at: job.started_at ?? new Date(),
      error_message: null,
    }
    const events = await moveJob(tx, job, 'running', changes)
    claimed = job
    return [...events, ...(await kinds[job.kind].started(tx, job))]
  })
  return claimed
}

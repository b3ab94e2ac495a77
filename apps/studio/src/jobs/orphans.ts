// Jobs whose host is gone: their runners are ended, then they go back to the queue, or where a person asked them to go.
import { and, eq, lt, notLike, or, sql } from 'drizzle-orm'
import type { Database } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import { lockJob } from '../domain/jobs/move.ts'
import type { EventLog } from '../events/log.ts'
import { requeueJob } from './outcomes.ts'
import { endOrphan } from './runner_process.ts'

/**
 * @param options.place of this host (lease.ts)
 * @param options.all also those of an earlier host of this data folder, whose leases may last; only before this one works
 */
export async function recoverOrphans(options: {
  db: Database
  log: EventLog
  place: string
  all: boolean
}): Promise<void> {
  const { db, log, place, all } = options
  const expired = and(lt(jobs.lease_until, sql`now()`), notLike(jobs.host, `${place}/%`))
  const lost = all ? or(expired, sql`${jobs.host} like ${`${place}/%`}`, sql`${jobs.host} is null`) : expired
  const found = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.status, 'running'), lost))
  for (const { id, runner_pid: pid, runner_started: started } of found) {
    if (pid !== null && started !== null) await endOrphan({ pid, started })
    await log.write(async tx => {
      const job = await lockJob(tx, id)
      return job.status === 'running' ? await requeueJob(tx, job) : []
    })
  }
}

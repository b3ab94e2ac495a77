// Who runs a job, and for how long that is believed: a host renews the lease of its job, and one that does not is taken
// for dead by the others.
import { createHash, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { and, eq } from 'drizzle-orm'
import type { Database } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import type { JobRow } from '../domain/jobs/job.ts'

/** A host that does not renew for so long is taken for dead. */
const leaseSeconds = 20
export const renewSeconds = 5

export const leaseEnd = () => new Date(Date.now() + leaseSeconds * 1000)

/**
 * Hosts of one data folder follow each other (it is locked), so what the one before left is known to be orphaned.
 * @returns place: all hosts of this data folder on this machine have it; hostId: begins with it, and is this host's alone
 */
export function hostIdentity(dataDir: string): { place: string; hostId: string } {
  const place = createHash('sha256').update(`${hostname()}\n${dataDir}`).digest('hex').slice(0, 16)
  return { place, hostId: `${place}/${randomUUID()}` }
}

/** @param options.job the one that runs here, if one does */
export async function renewLease(options: {
  db: Database
  hostId: string
  job: JobRow | undefined
}): Promise<void> {
  const { db, hostId, job } = options
  if (job === undefined) return
  await db
    .update(jobs)
    .set({ lease_until: leaseEnd() })
    .where(and(eq(jobs.id, job.id), eq(jobs.host, hostId)))
}

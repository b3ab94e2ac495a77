// Jobs as the API shows them: the queue as a person may see it.
import { isTerminal, type Job, jobMachine, statesOf } from '@mistudio/contract'
import { desc, eq, inArray, type SQL } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { jobs } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { iso, isoOrNull, type Paging, pageOfItems } from '../paging.ts'

const toJob = (row: typeof jobs.$inferSelect): Job => ({
  id: row.id,
  kind: row.kind,
  entity: row.entity,
  title: row.title,
  status: row.status,
  progress: row.progress,
  attempt: row.attempt,
  needs: row.needs,
  after: row.after,
  error_message: row.error_message,
  created_at: iso(row.created_at),
  started_at: isoOrNull(row.started_at),
  ended_at: isoOrNull(row.ended_at),
})

const activeStates = statesOf(jobMachine).filter(state => !isTerminal(jobMachine, state))

export async function findJob(db: Executor, id: string): Promise<Job> {
  const [row] = await db.select().from(jobs).where(eq(jobs.id, id))
  if (row === undefined) throw notFound('job', id)
  return toJob(row)
}

/** The newest first. @param options.active only those that have not ended */
export async function listJobs(db: Executor, options: { active: boolean; page: Paging }) {
  const { active, page: query } = options
  const where: SQL | undefined = active ? inArray(jobs.status, activeStates) : undefined
  const rows = await db
    .select()
    .from(jobs)
    .where(where)
    .orderBy(desc(jobs.created_at), desc(jobs.id))
    .limit(query.limit)
    .offset(query.offset)
  return pageOfItems({ data: rows.map(toJob), total: await db.$count(jobs, where), query })
}

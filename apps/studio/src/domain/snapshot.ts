// What a channel tells of, as its GET route gives it.
import type { Executor } from '../db/connect.ts'
import { findExtraction } from './extractions/find.ts'
import { listJobs } from './jobs/find.ts'
import { findTokenization } from './tokenizations/find.ts'
import { findTraining } from './trainings/find.ts'

/** A list of jobs that a client can hold at once. */
const mostJobs = 500

/** @throws ProblemError 404 where there is no such entity */
export async function snapshotOf(db: Executor, channel: string): Promise<unknown> {
  const [entity, id] = channel.split('/')
  switch (entity) {
    case 'training':
      return findTraining(db, id)
    case 'extraction':
      return findExtraction(db, id)
    case 'tokenization':
      return findTokenization(db, id)
    case 'jobs':
      return listJobs(db, { active: true, page: { limit: mostJobs, offset: 0 } })
    default:
      throw new Error(`no snapshot of ${channel}`)
  }
}

// New jobs and the event that tells of a job. A job waits for others by name: `needs` must have completed, `after`
// must have ended, however. A batch is nothing but such a chain, so it goes on whatever ends a member.
import { channelOf, type JobKind } from '@mistudio/contract'
import type { JobInput, jobs } from '../../db/schema.ts'
import type { NewEvent } from '../../events/log.ts'
import { newId } from '../../ids.ts'

export type JobRow = typeof jobs.$inferSelect

export function newJob(options: {
  kind: JobKind
  /** `training/train_…`: the channel of its events. */
  entity: string
  /** For a person: names, never ids. */
  title: string
  needs?: string[]
  after?: string[]
  input?: JobInput
  /** Of an earlier job whose folder this one goes on in. */
  attempt?: number
}): typeof jobs.$inferInsert & { id: string } {
  const { kind, entity, title, needs = [], after = [], input = null, attempt = 0 } = options
  return { id: newId('job'), kind, entity, title, status: 'queued', needs, after, input, attempt }
}

/** `job:status` on `jobs/all`. */
export function jobEvent(
  job: Pick<JobRow, 'id' | 'kind' | 'entity' | 'title' | 'status'> &
    Partial<Pick<JobRow, 'progress' | 'error_message'>>,
): NewEvent {
  const { id, kind, entity, title, status, progress = 0, error_message = null } = job
  return {
    channel: channelOf.jobs,
    event: 'job:status',
    data: { job_id: id, kind, entity, title, status, progress, error_message },
  }
}

export const entityId = (job: Pick<JobRow, 'entity'>) => job.entity.slice(job.entity.indexOf('/') + 1)

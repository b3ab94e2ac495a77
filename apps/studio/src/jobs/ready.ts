// Whether a queued job can start: pure, so that every way a chain can go is tested without a database.
import { isTerminal, type JobStatus, jobMachine } from '@mistudio/contract'

export type Readiness =
  | { kind: 'ready' }
  | { kind: 'waiting' }
  /** A job it needs has ended without completing: it never can. */
  | { kind: 'doomed'; by: string }

/** @param options.statusOf undefined for a job that is gone: it has ended, and not completed */
export function readiness(options: {
  needs: readonly string[]
  after: readonly string[]
  statusOf: (id: string) => JobStatus | undefined
}): Readiness {
  const { needs, after, statusOf } = options
  const ended = (status: JobStatus | undefined) => status === undefined || isTerminal(jobMachine, status)
  for (const id of needs) {
    const status = statusOf(id)
    if (ended(status) && status !== 'completed') return { kind: 'doomed', by: id }
  }
  const waits = needs.some(id => statusOf(id) !== 'completed') || after.some(id => !ended(statusOf(id)))
  return waits ? { kind: 'waiting' } : { kind: 'ready' }
}

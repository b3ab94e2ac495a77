// What socket and stream send from. What an entity is now is for whoever serves them to say: events know none.
import type { Database, Executor } from '../db/connect.ts'
import type { EventLog } from './log.ts'

export type EventSource = {
  db: Database
  log: EventLog
  /**
   * What a channel tells of, as its GET route gives it.
   * @throws ProblemError 404 where there is no such entity
   */
  snapshotOf(db: Executor, channel: string): Promise<unknown>
  /** Told of a fault of ours. */
  onError(error: unknown): void
}

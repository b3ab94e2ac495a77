// What everything that decides works with; studio.ts makes it.
import type { Database } from '../db/connect.ts'
import type { EventLog } from '../events/log.ts'
import type { Storage } from '../storage.ts'
import type { ExtractionShelf } from './extractions/shelf.ts'
import type { JobControl } from './jobs/control.ts'

export type Services = {
  db: Database
  log: EventLog
  host: JobControl
  storage: Storage
  /** Finished extractions that are open for reading. */
  shelf: ExtractionShelf
  /** Compute threads of a job; default one a core. */
  threads?: number
  /** Bytes of an uploaded file, at most. */
  maxUploadBytes: number
  /** Told of a fault of ours. */
  onError(error: unknown): void
}

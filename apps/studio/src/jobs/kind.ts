// What the host needs to know of a kind of job.
import type { JobKind } from '@mistudio/contract'
import type { OpenDatabase, Transaction } from '../db/connect.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import type { EventLog, NewEvent } from '../events/log.ts'
import type { RunnerEvent, RunnerResult, RunnerSpec } from '../runners/spec.ts'
import type { Storage } from '../storage.ts'

export type KindContext = {
  database: OpenDatabase
  log: EventLog
  storage: Storage
  onError: (error: unknown) => void
}

export type JobKindHandler = {
  /**
   * Before an attempt: makes what the runner needs, resolves every path. Outside a transaction.
   * @param out absolute folder of this attempt; exists and is empty
   */
  prepare(context: KindContext, job: JobRow, out: string): Promise<RunnerSpec>
  /** The folder of the entity, relative to the data folder: attempts lie in it. */
  folder(job: JobRow): string
  /** The rest run in the host's transaction and give the events to write with it. */
  started(tx: Transaction, job: JobRow): Promise<NewEvent[]>
  /** @returns the events, and the job's progress where the event tells it */
  event(tx: Transaction, job: JobRow, event: RunnerEvent): Promise<{ events: NewEvent[]; progress?: number }>
  /** Back to the queue: the attempt ended without a result. */
  requeued(tx: Transaction, job: JobRow): Promise<NewEvent[]>
  failed(tx: Transaction, job: JobRow, message: string): Promise<NewEvent[]>
  cancelled(tx: Transaction, job: JobRow, reason?: string): Promise<NewEvent[]>
  /** Large results that are written in pieces before the job is completed; done again after a crash. */
  collect?(context: KindContext, job: JobRow, result: RunnerResult, out: string): Promise<void>
  completed(
    tx: Transaction,
    job: JobRow,
    options: { result: RunnerResult /** The attempt's folder, relative to the data folder. */; path: string },
  ): Promise<NewEvent[]>
  /** For kinds that can wait in the middle. */
  paused?(tx: Transaction, job: JobRow): Promise<NewEvent[]>
  resumed?(tx: Transaction, job: JobRow): Promise<NewEvent[]>
  /** Ended early with what there is kept; `path` as for `completed`. */
  stopped?(
    tx: Transaction,
    job: JobRow,
    options: { result?: RunnerResult; path: string },
  ): Promise<NewEvent[]>
}

/** A result or event of another kind is a mistake of ours, not of a caller. */
export function resultOf<K extends JobKind>(
  kind: K,
  result: RunnerResult,
): Extract<RunnerResult, { kind: K }> {
  if (result.kind === kind) return result as Extract<RunnerResult, { kind: K }>
  throw new Error(`a ${kind} job got a result of kind ${result.kind}`)
}

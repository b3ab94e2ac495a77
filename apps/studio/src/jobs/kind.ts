// What the host knows of a kind of job: where its attempts lie, what its runner is told, and what its row and the row of
// what it works for become when something happens. A kind says only what differs from the defaults here.
import type { OpenDatabase, Transaction } from '../db/connect.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import type { EventLog, NewEvent } from '../events/log.ts'
import type { ResultOf, RunnerEvent, RunnerResult, RunnerSpec, WorkName, Works } from '../runners/spec.ts'
import type { Storage } from '../storage.ts'

export type KindContext = {
  database: OpenDatabase
  log: EventLog
  storage: Storage
  onError: (error: unknown) => void
}

/** What a runner's event means: the events to write, and the job's progress where it tells that. */
type Heard = {
  events: NewEvent[]
  progress?: number
  /** What it has reached is saved: crashes are counted anew. */
  further?: boolean
}

/** Where a result lies. `path`: the attempt's folder, relative to the data folder. */
type Placed = { path: string }

type OnMove = (tx: Transaction, job: JobRow) => Promise<NewEvent[]>

/** All but the first three run in the host's transaction and give the events to write with it. */
export type JobKindHandler = {
  /** The folder of the entity, relative to the data folder: attempts lie in it. */
  folder(job: JobRow): string
  prepare(context: KindContext, job: JobRow, out: string): Promise<RunnerSpec>
  /** Large results that are written in pieces before the job is completed; done again after a crash. */
  collect(context: KindContext, job: JobRow, result: RunnerResult, out: string): Promise<void>

  started: OnMove
  event(tx: Transaction, job: JobRow, event: RunnerEvent): Promise<Heard>
  /** Back to the queue: the attempt ended without a result. */
  requeued: OnMove
  failed(tx: Transaction, job: JobRow, message: string): Promise<NewEvent[]>
  cancelled(tx: Transaction, job: JobRow, reason?: string): Promise<NewEvent[]>
  completed(tx: Transaction, job: JobRow, options: Placed & { result: RunnerResult }): Promise<NewEvent[]>
  /** For kinds that can wait in the middle. */
  paused?: OnMove
  resumed?: OnMove
  /** Ended early with what there is kept. */
  stopped?(tx: Transaction, job: JobRow, options: Placed): Promise<NewEvent[]>

  /** A runner that was asked to stop says so in its result. */
  endedEarly(result: RunnerResult): boolean
  /** Where the job goes when one that it needs has failed. */
  whenNeedFailed: 'failed' | 'cancelled'
  /** What a request that cannot be met says it was made of. */
  subject: string
}

/** As `JobKindHandler`, with spec and result of the work that its runner does, and only what is not default. */
type Definition<W extends WorkName> = Pick<JobKindHandler, 'folder'> &
  Partial<Omit<JobKindHandler, 'folder' | 'prepare' | 'collect' | 'completed' | 'endedEarly'>> & {
    /**
     * Before an attempt: makes what the runner needs, resolves every path. Outside a transaction.
     * @param out absolute folder of this attempt; exists and is empty
     */
    prepare(context: KindContext, job: JobRow, out: string): Promise<Works[W]['spec']>
    collect?(context: KindContext, job: JobRow, result: ResultOf<W>, out: string): Promise<void>
    completed?(tx: Transaction, job: JobRow, options: Placed & { result: ResultOf<W> }): Promise<NewEvent[]>
    /** Default: never. */
    endedEarly?(result: ResultOf<W>): boolean
    /**
     * The file whose export named after the work does it; default runners/WORK.ts. A small kind gives its own file,
     * `import.meta.url`: then that must import nothing that opens the database, since the runner loads it too.
     */
    module?: string
  }

const defaults = {
  started: async () => [],
  async event(_tx: Transaction, _job: JobRow, { event }: RunnerEvent): Promise<Heard> {
    throw new Error(`unexpected ${event}`)
  },
  requeued: async () => [],
  failed: async () => [],
  cancelled: async () => [],
  whenNeedFailed: 'failed',
  subject: 'job',
} as const

const isResultOf = <W extends WorkName>(
  work: W,
  result: RunnerResult,
): result is RunnerResult & ResultOf<W> => result.kind === work

/**
 * A kind of job: the default export of a file in kinds/ that has the kind's name.
 * @param work what its runner does: one of `Works` (runners/spec.ts)
 */
export function defineKind<W extends WorkName>(work: W, definition: Definition<W>): JobKindHandler {
  const { prepare, collect, completed, endedEarly, module, ...rest } = definition
  /** A result of other work is a mistake of ours, not of a caller. */
  const own = (result: RunnerResult): ResultOf<W> => {
    if (isResultOf(work, result)) return result
    throw new Error(`a runner that was to ${work} reports the result of ${result.kind}`)
  }
  return {
    ...defaults,
    ...rest,
    async prepare(context, job, out) {
      const spec = { ...(await prepare(context, job, out)), kind: work } as RunnerSpec
      return module === undefined ? spec : { ...spec, module }
    },
    async collect(context, job, result, out) {
      await collect?.(context, job, own(result), out)
    },
    async completed(tx, job, { result, path }) {
      return (await completed?.(tx, job, { result: own(result), path })) ?? []
    },
    endedEarly: result => endedEarly?.(own(result)) ?? false,
  }
}

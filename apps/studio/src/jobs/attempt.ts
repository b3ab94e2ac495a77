// The life of one attempt at a job: its folder, its runner, what that reports and how it ends. Every transaction of it
// asks first whether the attempt is still the current one, so that an outcome is written once.
import { eq } from 'drizzle-orm'
import type { Transaction } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import { dropEarlier, makeAttempt } from '../domain/jobs/attempts.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { lockJob } from '../domain/jobs/move.ts'
import type { NewEvent } from '../events/log.ts'
import type { RunnerEvent } from '../runners/spec.ts'
import { folders } from '../storage.ts'
import type { KindContext } from './kind.ts'
import { kinds } from './kinds.ts'
import { crashJob, failJob, finishJob } from './outcomes.ts'
import type { Runner, RunnerEnd, StartRunner } from './runner.ts'
import { askRunner } from './stopping.ts'

export type Attempt = {
  job: JobRow
  runner: Runner
  /** Its folder, relative to the data folder. */
  path: string
  /** The host ends: a crash now is its doing. */
  closing: boolean
  /** Its outcome is written, and the host told. */
  done: Promise<void>
}

export type AttemptContext = KindContext & { startRunner: StartRunner; threads?: number; hostId: string }

/**
 * Starts the runner of a claimed job. Its spec is sent once the runner's process is written down, so that none can be
 * forgotten. Whatever goes wrong before it runs fails the job.
 * @param options.onBegin told as soon as it runs
 * @param options.onEnd told once its outcome is written
 */
export async function beginAttempt(options: {
  context: AttemptContext
  job: JobRow
  onBegin: (attempt: Attempt) => void
  onEnd: () => void
}): Promise<void> {
  const { context, job, onBegin, onEnd } = options
  const { database, storage, startRunner, threads, onError } = context
  const { db } = database
  const kind = kinds[job.kind]
  const path = folders.attempt(kind.folder(job), job.attempt)
  const out = storage.resolve(path)
  try {
    makeAttempt(out)
    const spec = await kind.prepare(context, job, out)
    // Messages are handled one after the other, each in a transaction of its own.
    let handled: Promise<void> = Promise.resolve()
    const runner = await startRunner({
      spec,
      threads,
      onMessage: event => {
        handled = handled.then(() => record(context, job, event)).catch(onError)
      },
      beforeSpec: async ({ pid, startedAt }) => {
        const values = { runner_pid: pid, runner_started: startedAt }
        await db.update(jobs).set(values).where(eq(jobs.id, job.id))
      },
    })
    const attempt: Attempt = { job, runner, path, closing: false, done: Promise.resolve() }
    onBegin(attempt)
    attempt.done = runner.ended
      .then(async end => {
        await handled
        await finish(context, attempt, end)
      })
      .catch(error => fail(context, job, error))
      .catch(onError)
      .finally(onEnd)
    // Asked while it started, when there was no runner to tell.
    const [{ request }] = await db.select({ request: jobs.request }).from(jobs).where(eq(jobs.id, job.id))
    if (request !== null) askRunner(runner, request)
  } catch (error) {
    await fail(context, job, error)
  }
}

/** What went wrong on our side of a job. */
async function fail(context: AttemptContext, job: JobRow, error: unknown): Promise<void> {
  const message = error instanceof Error ? error.message : String(error)
  await whileCurrent(context, job, (tx, locked) => failJob(tx, locked, message))
}

/** Runs a transaction only if this attempt is still the current one. */
async function whileCurrent(
  { log, hostId }: AttemptContext,
  job: JobRow,
  work: (tx: Transaction, locked: JobRow) => Promise<NewEvent[]>,
): Promise<void> {
  await log.write(async tx => {
    const locked = await lockJob(tx, job.id)
    const current = locked.status === 'running' && locked.attempt === job.attempt && locked.host === hostId
    return current ? await work(tx, locked) : []
  })
}

async function record(context: AttemptContext, job: JobRow, event: RunnerEvent): Promise<void> {
  await whileCurrent(context, job, async (tx, locked) => {
    const { events, progress, further = false } = await kinds[job.kind].event(tx, locked, event)
    if (progress === undefined && locked.crashes === 0) return events
    const values = { ...(progress !== undefined && { progress }), ...(further && { crashes: 0 }) }
    if (Object.keys(values).length > 0) await tx.update(jobs).set(values).where(eq(jobs.id, job.id))
    return events
  })
}

async function finish(context: AttemptContext, attempt: Attempt, end: RunnerEnd): Promise<void> {
  const { storage } = context
  const { job, path, closing } = attempt
  switch (end.kind) {
    case 'failed':
      return await whileCurrent(context, job, (tx, locked) => failJob(tx, locked, end.message))
    case 'crashed': {
      const { message } = end
      return await whileCurrent(context, job, (tx, locked) => crashJob(tx, locked, { message, closing }))
    }
    case 'result': {
      const { result } = end
      const kind = kinds[job.kind]
      const whole = !kind.endedEarly(result)
      if (whole) await kind.collect(context, job, result, storage.resolve(path))
      await whileCurrent(context, job, (tx, locked) => finishJob(tx, locked, { result, path }))
      if (whole) dropEarlier({ folder: storage.resolve(kind.folder(job)), attempt: job.attempt })
    }
  }
}

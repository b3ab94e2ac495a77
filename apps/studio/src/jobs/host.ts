// The job host: claims queued jobs, runs each in a child process, writes down what it says. A job's truth is its row;
// pg-boss and `wake` only say that there may be something to do. One job computes at a time: jobs use all cores.
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isTerminal, jobMachine } from '@mistudio/contract'
import { and, asc, eq, inArray, lt, notLike, or, sql } from 'drizzle-orm'
import type { OpenDatabase } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import type { EventLog, NewEvent } from '../events/log.ts'
import { illegalMove } from '../problem.ts'
import type { RunnerEvent, RunnerResult } from '../runners/spec.ts'
import { folders, type Storage } from '../storage.ts'
import { kinds } from './kinds.ts'
import { lockJob, moveJob } from './moves.ts'
import type { JobRow } from './plan.ts'
import { readiness } from './ready.ts'
import type { Runner, StartRunner } from './runner.ts'
import { endOrphan, startRunner } from './runner_process.ts'
import { openWakeQueue, type WakeQueue } from './wake_queue.ts'

export type JobHost = {
  /** Takes back what an earlier host of this data folder left, then begins to work. */
  start(): Promise<void>
  /** Running jobs save what they can and go back to the queue. */
  close(): Promise<void>
  /** Something was queued. */
  wake(): void
  /** @throws ProblemError 409 naming state and move, here and below */
  pause(jobId: string): Promise<void>
  resume(jobId: string): Promise<void>
  stop(jobId: string, options: { keep: boolean }): Promise<void>
  cancel(jobId: string): Promise<void>
}

/** A host that does not renew for so long is taken for dead by the others. */
const leaseSeconds = 20
const renewSeconds = 5
/** Crashes of a runner without getting further, after which its job has failed. */
const crashesAllowed = 5
/** A runner that was asked to stop is killed after so long. */
const stopSeconds = 60

type Running = { job: JobRow; runner: Runner; attemptPath: string; closing: boolean; done: Promise<void> }

export function createJobHost(options: {
  database: OpenDatabase
  log: EventLog
  storage: Storage
  threads?: number
  /** Told of a fault of ours; default stderr. */
  onError?: (error: unknown) => void
  /** Tests give runners of their own. */
  startRunner?: StartRunner
}): JobHost {
  const { database, log, storage, threads, onError = error => console.error(error) } = options
  const start = options.startRunner ?? startRunner
  const { db } = database
  const context = { database, log, storage }
  // Hosts of one data folder follow each other (it is locked), so what the one before left is known to be orphaned.
  const place = createHash('sha256').update(`${hostname()}\n${storage.dataDir}`).digest('hex').slice(0, 16)
  const hostId = `${place}/${randomUUID()}`
  let running: Running | undefined
  let queue: WakeQueue | undefined
  let renewing: NodeJS.Timeout | undefined
  let state: 'new' | 'open' | 'closing' = 'new'
  let ticking: Promise<void> | undefined
  let again = false

  /** Looks for work until there is none that can start; never two at once. */
  function wake(): void {
    if (state !== 'open') return
    again = true
    ticking ??= work().finally(() => {
      ticking = undefined
      if (again) wake()
    })
  }

  async function work(): Promise<void> {
    while (again && state === 'open') {
      again = false
      try {
        await recover({ all: false })
        while (running === undefined && state === 'open' && (await startNext())) {}
      } catch (error) {
        onError(error)
      }
    }
  }

  /** Ends orphans and puts their jobs back. `all`: also those of an earlier host of this data folder. */
  async function recover({ all }: { all: boolean }): Promise<void> {
    const expired = and(lt(jobs.lease_until, sql`now()`), notLike(jobs.host, `${place}/%`))
    const lost = all
      ? or(expired, sql`${jobs.host} like ${`${place}/%`}`, sql`${jobs.host} is null`)
      : expired
    const found = await db
      .select()
      .from(jobs)
      .where(and(eq(jobs.status, 'running'), lost))
    for (const { id, runner_pid: pid, runner_started: started } of found) {
      if (pid !== null && started !== null) await endOrphan({ pid, started })
      await log.write(async tx => {
        const job = await lockJob(tx, id)
        return job.status === 'running' ? await requeue(tx, job) : []
      })
    }
  }

  /** What was asked of a job whose runner is gone decides where it goes. */
  async function requeue(
    tx: Parameters<typeof lockJob>[0],
    job: JobRow,
    changes: Partial<JobRow> = {},
  ): Promise<NewEvent[]> {
    const kind = kinds[job.kind]
    switch (job.request) {
      case 'cancel':
        return [...(await moveJob(tx, job, 'cancelled', changes)), ...(await kind.cancelled(tx, job))]
      case 'pause':
        // Where it stands is in its checkpoint.
        return [
          ...(await moveJob(tx, job, 'paused', { ...changes, request: null })),
          ...((await kind.paused?.(tx, job)) ?? []),
        ]
      case 'stop':
      case null:
        return [...(await moveJob(tx, job, 'queued', changes)), ...(await kind.requeued(tx, job))]
    }
  }

  /** @returns false when nothing can start now */
  async function startNext(): Promise<boolean> {
    const queued = await db
      .select()
      .from(jobs)
      .where(eq(jobs.status, 'queued'))
      .orderBy(asc(jobs.created_at), asc(jobs.id))
    if (queued.length === 0) return false
    const named = [...new Set(queued.flatMap(({ needs, after }) => [...needs, ...after]))]
    const others =
      named.length === 0
        ? []
        : await db.select({ id: jobs.id, status: jobs.status }).from(jobs).where(inArray(jobs.id, named))
    const statuses = new Map(others.map(({ id, status }) => [id, status]))
    for (const candidate of queued) {
      const found = readiness({ ...candidate, statusOf: id => statuses.get(id) })
      if (found.kind === 'waiting') continue
      if (found.kind === 'doomed') {
        await giveUp(candidate.id, found.by)
        return true
      }
      return await claim(candidate.id)
    }
    return false
  }

  /** A job that needs one which did not complete. */
  async function giveUp(id: string, by: string): Promise<void> {
    await log.write(async tx => {
      const [cause] = await tx.select().from(jobs).where(eq(jobs.id, by))
      const job = await lockJob(tx, id)
      if (job.status !== 'queued') return []
      const kind = kinds[job.kind]
      const what = cause === undefined ? 'a job it needs is gone' : `${cause.title}: ${cause.status}`
      const reason = cause?.error_message ? `${what}: ${cause.error_message}` : what
      if (cause?.status === 'failed' && job.kind !== 'nlp') {
        return [
          ...(await moveJob(tx, job, 'failed', { error_message: reason })),
          ...(await kind.failed(tx, job, reason)),
        ]
      }
      return [
        ...(await moveJob(tx, job, 'cancelled', { error_message: reason })),
        ...(await kind.cancelled(tx, job, reason)),
      ]
    })
  }

  async function claim(id: string): Promise<boolean> {
    let claimed: JobRow | undefined
    await log.write(async tx => {
      const job = await lockJob(tx, id)
      if (job.status !== 'queued') return []
      const changes = {
        attempt: job.attempt + 1,
        host: hostId,
        lease_until: new Date(Date.now() + leaseSeconds * 1000),
        started_at: job.started_at ?? new Date(),
        error_message: null,
      }
      const events = await moveJob(tx, job, 'running', changes)
      claimed = job
      return [...events, ...(await kinds[job.kind].started(tx, job))]
    })
    if (claimed === undefined) return true
    await run(claimed)
    return true
  }

  /** Starts the runner of a claimed job. Its spec is sent once its process is written down, so none can be forgotten. */
  async function run(job: JobRow): Promise<void> {
    const kind = kinds[job.kind]
    const attemptPath = folders.attempt(kind.folder(job), job.attempt)
    const out = storage.resolve(attemptPath)
    try {
      rmSync(out, { recursive: true, force: true })
      mkdirSync(out, { recursive: true })
      const spec = await kind.prepare(context, job, out)
      // Messages are handled one after the other, each in a transaction of its own.
      let handled: Promise<void> = Promise.resolve()
      const runner = await start({
        spec,
        threads,
        onMessage: event => {
          handled = handled.then(() => record(job, event)).catch(onError)
        },
        beforeSpec: async ({ pid, startedAt }) => {
          const values = { runner_pid: pid, runner_started: startedAt }
          await db.update(jobs).set(values).where(eq(jobs.id, job.id))
        },
      })
      const current: Running = { job, runner, attemptPath, closing: false, done: Promise.resolve() }
      running = current
      current.done = runner.ended
        .then(async end => {
          await handled
          await finish(current, end)
        })
        .catch(onError)
        .finally(() => {
          running = undefined
          wake()
        })
      const [{ request }] = await db.select({ request: jobs.request }).from(jobs).where(eq(jobs.id, job.id))
      if (request !== null) ask(current, request)
    } catch (error) {
      await end(job, async (tx, locked) => {
        const message = error instanceof Error ? error.message : String(error)
        return [
          ...(await moveJob(tx, locked, 'failed', { error_message: message })),
          ...(await kind.failed(tx, locked, message)),
        ]
      })
    }
  }

  function ask(current: Running, request: NonNullable<JobRow['request']>): void {
    if (request === 'cancel') current.runner.kill()
    else stopSoon(current)
  }

  function stopSoon({ runner }: Running): void {
    runner.stop()
    const timer = setTimeout(() => runner.kill(), stopSeconds * 1000)
    void runner.ended.finally(() => clearTimeout(timer))
  }

  /** Runs a transaction only if this attempt is still the current one: an outcome is written once. */
  async function end(
    job: JobRow,
    work: (tx: Parameters<typeof lockJob>[0], locked: JobRow) => Promise<NewEvent[]>,
  ): Promise<void> {
    await log.write(async tx => {
      const locked = await lockJob(tx, job.id)
      const current = locked.status === 'running' && locked.attempt === job.attempt && locked.host === hostId
      return current ? await work(tx, locked) : []
    })
  }

  async function record(job: JobRow, event: RunnerEvent): Promise<void> {
    await end(job, async (tx, locked) => {
      const { events, progress } = await kinds[job.kind].event(tx, locked, event)
      const further = event.event === 'training:checkpoint' ? { crashes: 0 } : {}
      if (progress === undefined && locked.crashes === 0) return events
      const values = { ...(progress !== undefined && { progress }), ...further }
      if (Object.keys(values).length > 0) await tx.update(jobs).set(values).where(eq(jobs.id, job.id))
      return events
    })
  }

  async function finish(current: Running, outcome: Awaited<Runner['ended']>): Promise<void> {
    const { job, attemptPath } = current
    const kind = kinds[job.kind]
    switch (outcome.kind) {
      case 'result':
        return await succeed(current, outcome.result)
      case 'failed':
        return await end(job, async (tx, locked) => [
          ...(await moveJob(tx, locked, 'failed', { error_message: outcome.message })),
          ...(await kind.failed(tx, locked, outcome.message)),
        ])
      case 'crashed':
        return await end(job, async (tx, locked) => {
          if (current.closing || locked.request !== null) return await requeue(tx, locked)
          const crashes = locked.crashes + 1
          if (crashes < crashesAllowed) return await requeue(tx, locked, { crashes })
          const message = `its process ended ${crashes} times without getting further; the last time: ${outcome.message}`
          return [
            ...(await moveJob(tx, locked, 'failed', { crashes, error_message: message })),
            ...(await kind.failed(tx, locked, message)),
          ]
        })
    }
    outcome satisfies never
    throw new Error(`unknown end of ${attemptPath}`)
  }

  async function succeed(current: Running, result: RunnerResult): Promise<void> {
    const { job, attemptPath: path } = current
    const kind = kinds[job.kind]
    const early = endedEarly(result)
    const out = storage.resolve(path)
    if (!early) await kind.collect?.(context, job, result, out)
    await end(job, async (tx, locked) => {
      if (!early) {
        return [
          ...(await moveJob(tx, locked, 'completed')),
          ...(await kind.completed(tx, locked, { result, path })),
        ]
      }
      if (locked.request === 'stop' && kind.stopped !== undefined) {
        return [
          ...(await moveJob(tx, locked, 'completed')),
          ...(await kind.stopped(tx, locked, { result, path })),
        ]
      }
      return await requeue(tx, locked)
    })
    if (!early) dropAttempts(storage.resolve(kind.folder(job)), job.attempt - 1)
  }

  async function close(): Promise<void> {
    if (state === 'closing') return
    state = 'closing'
    clearInterval(renewing)
    await queue?.close()
    await ticking
    if (running !== undefined) {
      running.closing = true
      stopSoon(running)
      await running.done
    }
  }

  async function renew(): Promise<void> {
    if (running === undefined) return
    await db
      .update(jobs)
      .set({ lease_until: new Date(Date.now() + leaseSeconds * 1000) })
      .where(and(eq(jobs.id, running.job.id), eq(jobs.host, hostId)))
  }

  /** Marks what is asked of a running job and tells its runner. */
  async function request(id: string, what: NonNullable<JobRow['request']>): Promise<void> {
    await db.update(jobs).set({ request: what }).where(eq(jobs.id, id))
    if (running?.job.id === id) ask(running, what)
  }

  /** Moves a job that does not run; @returns its status, `running` where the caller has to ask its runner */
  async function moveIdle(
    id: string,
    work: (tx: Parameters<typeof lockJob>[0], job: JobRow) => Promise<NewEvent[] | undefined>,
  ): Promise<JobRow['status']> {
    let status: JobRow['status'] = 'queued'
    await log.write(async tx => {
      const job = await lockJob(tx, id)
      status = job.status
      if (status === 'running') return []
      return (await work(tx, job)) ?? []
    })
    return status
  }

  const refuse = (job: JobRow, move: string, allowed: string) =>
    illegalMove({ entity: job.kind === 'train' ? 'training' : 'job', state: job.status, move, allowed })

  return {
    async start() {
      await recover({ all: true })
      queue = await openWakeQueue({ database, onWake: wake, onError })
      renewing = setInterval(() => void renew().catch(onError), renewSeconds * 1000)
      state = 'open'
      wake()
    },
    close,
    wake() {
      wake()
      void queue?.send().catch(onError)
    },
    async pause(id) {
      const status = await moveIdle(id, async (tx, job) => {
        const kind = kinds[job.kind]
        if (kind.paused === undefined || job.status !== 'queued')
          throw refuse(job, 'pause', 'queued or running')
        return [...(await moveJob(tx, job, 'paused')), ...(await kind.paused(tx, job))]
      })
      if (status === 'running') await request(id, 'pause')
    },
    async resume(id) {
      await log.write(async tx => {
        const job = await lockJob(tx, id)
        const kind = kinds[job.kind]
        if (kind.resumed === undefined || job.status !== 'paused') throw refuse(job, 'resume', 'paused')
        return [...(await moveJob(tx, job, 'queued', { request: null })), ...(await kind.resumed(tx, job))]
      })
      wake()
    },
    async stop(id, { keep }) {
      const status = await moveIdle(id, async (tx, job) => {
        const kind = kinds[job.kind]
        if (isTerminal(jobMachine, job.status)) throw refuse(job, 'stop', 'queued, running or paused')
        // A paused training has its SAEs beside the checkpoint; one that never ran has nothing to keep.
        if (keep && job.status === 'paused' && job.attempt > 0 && kind.stopped !== undefined) {
          const path = folders.attempt(kind.folder(job), job.attempt)
          return [...(await moveJob(tx, job, 'completed')), ...(await kind.stopped(tx, job, { path }))]
        }
        return [...(await moveJob(tx, job, 'cancelled')), ...(await kind.cancelled(tx, job))]
      })
      if (status === 'running') await request(id, keep ? 'stop' : 'cancel')
      wake()
    },
    async cancel(id) {
      const status = await moveIdle(id, async (tx, job) => {
        if (isTerminal(jobMachine, job.status)) throw refuse(job, 'cancel', 'queued, running or paused')
        return [...(await moveJob(tx, job, 'cancelled')), ...(await kinds[job.kind].cancelled(tx, job))]
      })
      if (status === 'running') await request(id, 'cancel')
      wake()
    },
  }
}

/** Removes what earlier attempts left, once this one's result is written down. */
function dropAttempts(folder: string, last: number): void {
  for (let attempt = 1; attempt <= last; attempt++) {
    rmSync(join(folder, `attempt-${attempt}`), { recursive: true, force: true })
  }
}

/** A runner that was asked to stop says so in its result. */
function endedEarly(result: RunnerResult): boolean {
  switch (result.kind) {
    case 'train':
      return result.status === 'stopped'
    case 'extract':
    case 'nlp':
      return !result.complete
    case 'tokenize':
      return false
  }
}

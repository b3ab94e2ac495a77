// The job host: claims queued jobs, runs each in a child process, writes down what it says. A job's truth is its row;
// pg-boss and `wake` only say that there may be something to do. One job computes at a time: jobs use all cores.
import { createHash, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { and, asc, eq, inArray, lt, notLike, or, sql } from 'drizzle-orm'
import type { OpenDatabase, Transaction } from '../db/connect.ts'
import { jobs } from '../db/schema.ts'
import { dropEarlier, makeAttempt } from '../domain/jobs/attempts.ts'
import type { JobRow } from '../domain/jobs/job.ts'
import { lockJob, moveJob } from '../domain/jobs/move.ts'
import type { EventLog, NewEvent } from '../events/log.ts'
import type { RunnerEvent } from '../runners/spec.ts'
import { folders, type Storage } from '../storage.ts'
import { kinds } from './kinds.ts'
import { crashJob, endedEarly, failJob, finishJob, giveUpJob, requeueJob } from './outcomes.ts'
import { readiness } from './ready.ts'
import { createJobRequests, type JobRequest, type JobRequests } from './requests.ts'
import type { Runner, RunnerEnd, StartRunner } from './runner.ts'
import { endOrphan, startRunner } from './runner_process.ts'
import { openWakeQueue, type WakeQueue } from './wake_queue.ts'

export type JobHost = JobRequests & {
  /** Takes back what an earlier host of this data folder left, then begins to work. */
  start(): Promise<void>
  /** Running jobs save what they can and go back to the queue. */
  close(): Promise<void>
  /** Something was queued. */
  wake(): void
}

/** A host that does not renew for so long is taken for dead by the others. */
const leaseSeconds = 20
const renewSeconds = 5
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
  const context = { database, log, storage, onError }
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
        return job.status === 'running' ? await requeueJob(tx, job) : []
      })
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

  async function giveUp(id: string, by: string): Promise<void> {
    await log.write(async tx => {
      const [cause] = await tx.select().from(jobs).where(eq(jobs.id, by))
      const job = await lockJob(tx, id)
      return job.status === 'queued' ? await giveUpJob(tx, job, cause) : []
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

  /** Its spec is sent once the runner's process is written down, so that none can be forgotten. */
  async function run(job: JobRow): Promise<void> {
    const kind = kinds[job.kind]
    const attemptPath = folders.attempt(kind.folder(job), job.attempt)
    const out = storage.resolve(attemptPath)
    try {
      makeAttempt(out)
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
        .catch(error => fail(job, error))
        .catch(onError)
        .finally(() => {
          running = undefined
          wake()
        })
      const [{ request }] = await db.select({ request: jobs.request }).from(jobs).where(eq(jobs.id, job.id))
      if (request !== null) ask(current, request)
    } catch (error) {
      await fail(job, error)
    }
  }

  /** What went wrong on our side of a job. */
  async function fail(job: JobRow, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error)
    await end(job, (tx, locked) => failJob(tx, locked, message))
  }

  function ask(current: Running, request: JobRequest): void {
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
    work: (tx: Transaction, locked: JobRow) => Promise<NewEvent[]>,
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

  async function finish({ job, attemptPath: path, closing }: Running, outcome: RunnerEnd): Promise<void> {
    switch (outcome.kind) {
      case 'failed':
        return await end(job, (tx, locked) => failJob(tx, locked, outcome.message))
      case 'crashed':
        return await end(job, (tx, locked) => crashJob(tx, locked, { message: outcome.message, closing }))
      case 'result': {
        const { result } = outcome
        const kind = kinds[job.kind]
        const whole = !endedEarly(result)
        if (whole) await kind.collect?.(context, job, result, storage.resolve(path))
        await end(job, (tx, locked) => finishJob(tx, locked, { result, path }))
        if (whole) dropEarlier({ folder: storage.resolve(kind.folder(job)), attempt: job.attempt })
      }
    }
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
    ...createJobRequests({
      db,
      log,
      wake,
      tell: (id, request) => {
        if (running?.job.id === id) ask(running, request)
      },
    }),
  }
}

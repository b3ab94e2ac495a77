// The job host: claims queued jobs, runs each in a child process, writes down what it says. A job's truth is its row;
// pg-boss and `wake` only say that there may be something to do. One job computes at a time: jobs use all cores.
//
// A round: orphans go back to the queue (orphans.ts); the oldest job that waits for nothing is claimed (claim.ts) under
// a lease (lease.ts), and its attempt begins (attempt.ts). The end of the attempt begins the next round. What a person
// asks of a job meanwhile goes through its row (requests.ts); how a runner is stopped is in stopping.ts.
import type { OpenDatabase } from '../db/connect.ts'
import type { JobControl } from '../domain/jobs/control.ts'
import type { EventLog } from '../events/log.ts'
import type { Storage } from '../storage.ts'
import { type Attempt, beginAttempt } from './attempt.ts'
import { claimJob, giveUp, nextJob } from './claim.ts'
import { hostIdentity, renewLease, renewSeconds } from './lease.ts'
import { recoverOrphans } from './orphans.ts'
import { measure } from './probe.ts'
import { createJobRequests } from './requests.ts'
import { createRounds } from './rounds.ts'
import type { StartRunner } from './runner.ts'
import { startRunner as startProcess } from './runner_process.ts'
import { askRunner, stopSoon } from './stopping.ts'
import { openWakeQueue, type WakeQueue } from './wake_queue.ts'

export type JobHost = JobControl & {
  /** Takes back what an earlier host of this data folder left, then begins to work. */
  start(): Promise<void>
  /** Running jobs save what they can and go back to the queue. */
  close(): Promise<void>
}

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
  const { startRunner = startProcess } = options
  const { db } = database
  const { place, hostId } = hostIdentity(storage.dataDir)
  const rounds = createRounds({ round, onError })
  let running: Attempt | undefined
  let queue: WakeQueue | undefined
  let renewing: NodeJS.Timeout | undefined
  let closing = false

  async function round(): Promise<void> {
    await recoverOrphans({ db, log, place, all: false })
    while (running === undefined && rounds.open() && (await startNext())) {}
  }

  /** @returns false when nothing can start now */
  async function startNext(): Promise<boolean> {
    const next = await nextJob(db)
    switch (next.kind) {
      case 'none':
        return false
      case 'doomed':
        await giveUp({ log, ...next })
        return true
      case 'ready': {
        const job = await claimJob({ log, hostId, id: next.id })
        const context = { database, log, storage, threads, startRunner, hostId, onError }
        if (job !== undefined) await beginAttempt({ context, job, onBegin, onEnd })
        return true
      }
    }
  }

  function onBegin(attempt: Attempt): void {
    running = attempt
  }

  function onEnd(): void {
    running = undefined
    rounds.wake()
  }

  return {
    async start() {
      await recoverOrphans({ db, log, place, all: true })
      queue = await openWakeQueue({ database, onWake: rounds.wake, onError })
      const renew = () => renewLease({ db, hostId, job: running?.job }).catch(onError)
      renewing = setInterval(() => void renew(), renewSeconds * 1000)
      rounds.begin()
    },
    async close() {
      if (closing) return
      closing = true
      rounds.end()
      clearInterval(renewing)
      await queue?.close()
      await rounds.settled()
      if (running === undefined) return
      running.closing = true
      stopSoon(running.runner)
      await running.done
    },
    wake() {
      rounds.wake()
      void queue?.send().catch(onError)
    },
    measure: spec => measure({ spec, startRunner, threads, onError }),
    ...createJobRequests({
      db,
      log,
      wake: rounds.wake,
      tell(id, request) {
        if (running?.job.id === id) askRunner(running.runner, request)
      },
    }),
  }
}

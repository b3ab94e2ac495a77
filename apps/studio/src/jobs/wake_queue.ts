// pg-boss as the bell: a message says that there may be a job to start, nothing else. It carries no work, is never
// tried again and may be lost; the hosts of every machine on this database hear it, and look at the rows by themselves.
import { PgBoss } from 'pg-boss'
import type { OpenDatabase } from '../db/connect.ts'

export type WakeQueue = { send(): Promise<void>; close(): Promise<void> }

const name = 'job-host-wake'
/** A lost bell delays a job by this much at most. */
const pollSeconds = 5
const expireSeconds = 60

export async function openWakeQueue(options: {
  database: OpenDatabase
  onWake: () => void
  onError: (error: unknown) => void
}): Promise<WakeQueue> {
  const { database, onWake, onError } = options
  const { executeSql } = database
  // No cron, no statistics: maintenance is for queues that hold work.
  const boss = new PgBoss({ db: { executeSql }, schema: 'pgboss', schedule: false, supervise: false })
  boss.on('error', onError)
  await boss.start()
  await boss.createQueue(name, { policy: 'short', retryLimit: 0, expireInSeconds: expireSeconds })
  await boss.work(name, { pollingIntervalSeconds: pollSeconds }, async () => onWake())
  const timer = setInterval(onWake, pollSeconds * 1000)
  return {
    async send() {
      await boss.send(name, {})
    },
    async close() {
      clearInterval(timer)
      await boss.stop({ graceful: false })
    },
  }
}

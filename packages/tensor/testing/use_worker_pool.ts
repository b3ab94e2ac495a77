// Workers for tests: closed after each.
import { afterEach } from 'vitest'
import { openWorkerPool, type WorkerPool } from '../src/worker_pool.ts'

/** @returns opens workers that live until the test ends */
export function useWorkerPool(): (count: number) => Promise<WorkerPool> {
  const opened: WorkerPool[] = []
  afterEach(async () => {
    for (const pool of opened.splice(0)) await pool.close()
  })
  return async count => {
    const pool = await openWorkerPool({ count })
    opened.push(pool)
    return pool
  }
}

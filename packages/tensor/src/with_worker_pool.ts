// A worker pool for the duration of one piece of work.
import { openWorkerPool, type WorkerPool } from './worker_pool.ts'

/** Opens the workers, runs `use` and closes them, even if it fails: a job's thread cannot end while workers are open. */
export async function withWorkerPool<R>(
  { threads }: { threads: number | undefined },
  use: (pool: WorkerPool) => Promise<R>,
): Promise<R> {
  const pool = await openWorkerPool({ count: threads })
  try {
    return await use(pool)
  } finally {
    await pool.close()
  }
}

// A worker pool for the duration of one piece of work.
import { openWorkerPool, type WorkerPool } from './worker_pool.ts'

/**
 * Opens the workers, runs `use` and closes them, also when it fails: a job's thread ends only without workers.
 * @example
 * const { outputIds } = await withWorkerPool({ threads: 2 }, pool =>
 *   generate({ model, pool, inputIds: [5, 7], maxNewTokens: 3 }),
 * )
 */
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

// Transactions that cannot hang or lie: the outer handle inside one is an error instead of a wait for itself, and one
// in which a statement failed is never reported as committed.
import { AsyncLocalStorage } from 'node:async_hooks'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import * as schema from './schema.ts'

export type Database = NodePgDatabase<typeof schema>
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0]
export type Executor = Database | Transaction

/** Makes drizzle's handle of a pool; the pool itself refuses as well, for what goes past drizzle. */
export function databaseOf(pool: Pool): Database {
  const inside = new AsyncLocalStorage<{ open: boolean }>()
  const connect = pool.connect.bind(pool)
  pool.connect = ((...args: Parameters<typeof connect>) => {
    // Work that was begun inside and left running may go on once the transaction has ended.
    if (!inside.getStore()?.open) return connect(...args)
    const error = new Error("inside a transaction only its own handle can be used, not the database's")
    const [done] = args
    if (done === undefined) return Promise.reject(error)
    process.nextTick(done, error)
  }) as typeof pool.connect

  const db = drizzle(pool, { schema })
  const transaction = async <T>(
    work: (tx: Transaction) => Promise<T>,
    config?: Parameters<typeof db.transaction>[1],
  ): Promise<T> => {
    const client = await pool.connect()
    const state = { open: true }
    try {
      return await drizzle(client, { schema }).transaction(async tx => {
        const result = await inside.run(state, () => work(tx))
        // COMMIT answers ROLLBACK and no error when a failed statement was caught by `work`.
        if (client.getTransactionStatus() !== 'E') return result
        throw new Error('a statement of this transaction failed, so nothing of it was written')
      }, config)
    } finally {
      state.open = false
      client.release()
    }
  }
  return Object.assign(db, { transaction })
}

// The database of the studio: an embedded one in the data folder, or a Postgres. Both are spoken to by one driver.
import { join } from 'node:path'
import { Pool } from 'pg'
import { folders } from '../storage.ts'
import { migrate } from './migrate.ts'
import { startPgliteThread } from './pglite_thread.ts'
import { type Database, databaseOf } from './transactions.ts'

export type { Database, Executor, Transaction } from './transactions.ts'

export type OpenDatabase = {
  kind: 'pglite' | 'postgres'
  db: Database
  /** For pg-boss, whose own statements drizzle does not know. Never inside a transaction. */
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
  /** Waits for transactions in progress. */
  close(): Promise<void>
}

/** Connections to a Postgres; an embedded database has one. */
const maxConnections = 10
/** A Postgres that does not answer, or whose connections are all taken for so long, is an error. */
const connectMilliseconds = 30_000

/**
 * Opens and migrates the database. The data folder must have been locked (lock.ts) before.
 * @param options.databaseUrl of a Postgres, 15 or newer; without it, `dataDir`/database is opened, or made
 * @throws InputError when the database is of a newer version or does not start
 */
export async function openDatabase(options: {
  dataDir: string
  databaseUrl?: string
}): Promise<OpenDatabase> {
  const { dataDir, databaseUrl } = options
  const { kind, pool, stop } =
    databaseUrl === undefined
      ? await embedded(join(dataDir, folders.database))
      : { kind: 'postgres' as const, pool: external(databaseUrl), stop: async () => {} }
  // A connection that breaks tells whoever uses it; unheard, the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', client => client.on('error', () => {}))
  const db = databaseOf(pool)
  const close = async () => {
    await pool.end()
    await stop()
  }
  try {
    await migrate({ db })
  } catch (error) {
    await close()
    throw error
  }
  return { kind, db, executeSql: (text, values) => pool.query(text, values), close }
}

const external = (connectionString: string) =>
  new Pool({ connectionString, max: maxConnections, connectionTimeoutMillis: connectMilliseconds })

async function embedded(folder: string) {
  const thread = await startPgliteThread({ folder })
  const pool = new Pool({
    // One connection: a transaction in progress makes everything else wait for its end.
    max: 1,
    idleTimeoutMillis: 0,
    stream: () => thread.connect(),
    // Not what PGSSLMODE says of other servers.
    ssl: false,
    user: 'postgres',
    database: 'postgres',
  })
  return { kind: 'pglite' as const, pool, stop: () => thread.close() }
}

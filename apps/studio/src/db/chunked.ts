// Many rows in small statements: the embedded database answers one at a time, so others are served in between (unless
// all are in one transaction), and a statement has room for 65,535 values.
import { getTableColumns } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Executor } from './connect.ts'

const maxValues = 65_535

/**
 * @param options.tx a transaction, or the database: then each chunk is written for itself
 * @param options.chunkRows default 500; fewer where a statement has no room for so many
 */
export async function insertChunked<T extends PgTable>(options: {
  tx: Executor
  table: T
  rows: T['$inferInsert'][]
  chunkRows?: number
}): Promise<void> {
  const { tx, table, rows, chunkRows = 500 } = options
  const room = Math.floor(maxValues / Object.keys(getTableColumns(table)).length)
  const step = Math.max(1, Math.min(chunkRows, room))
  for (let at = 0; at < rows.length; at += step) {
    try {
      await tx.insert(table).values(rows.slice(at, at + step))
    } catch (error) {
      // Drizzle's own message repeats the statement and all of its values.
      throw error instanceof Error && error.cause !== undefined ? error.cause : error
    }
  }
}

// What tests do to a Postgres from outside: make and drop databases of it.
import { Client } from 'pg'

export async function administer(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** The URL of another database of the same server. */
export const databaseAt = (server: string, name: string): string =>
  server.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)

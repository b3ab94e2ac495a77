// A program that makes what databases for tests are copied from, with the same code as the studio's start. Its argument:
// the URL of an empty Postgres database, which is migrated; or a new folder, which gets two embedded databases, the one
// as initdb leaves it and the one migrated.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../src/db/connect.ts'
import { openPglite } from '../../src/db/pglite.ts'
import { folders } from '../../src/storage.ts'

const [place] = process.argv.slice(2)
if (place.startsWith('postgres')) {
  await (await openDatabase({ dataDir: '', databaseUrl: place })).close()
} else {
  const folder = (name: string) => join(place, name, folders.database)
  await (await openPglite({ folder: folder('empty') })).close()
  cpSync(folder('empty'), folder('migrated'), { recursive: true })
  await (await openDatabase({ dataDir: join(place, 'migrated') })).close()
}
process.exit()

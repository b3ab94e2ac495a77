// A program for the test of a full disk, imported before itself so that it is in the database's thread as well: there
// it lets no write through while a file says so.
import fs from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { openDatabase } from '../../src/db/connect.ts'
import { meta } from '../../src/db/schema.ts'

// A thread does not have the program's arguments.
const dataDir = process.env.MISTUDIO_DATA_DIR!
const sign = join(dataDir, 'full')

if (isMainThread) {
  const { db, close } = await openDatabase({ dataDir })
  const write = async (key: string) => {
    try {
      await db.insert(meta).values({ key, value: '' })
      console.log(`${key}: written`)
    } catch (error) {
      console.log(`${key}: ${((error as Error).cause as Error).message.replaceAll('\n', ' ')}`)
    }
  }
  await write('one')
  fs.writeFileSync(sign, '')
  await write('two')
  await write('three')
  fs.rmSync(sign)
  await write('four')
  const rows = await db.select().from(meta)
  console.log(
    rows
      .map(row => row.key)
      .filter(key => key !== 'schema_version')
      .join(', '),
  )
  await close()
} else {
  const plain = fs.writeSync
  fs.writeSync = ((...args: Parameters<typeof plain>) => {
    if (fs.existsSync(sign)) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
    return plain(...args)
  }) as typeof plain
}

import { spawn } from 'node:child_process'
import fs, { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { afterAll, describe, expect, it } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import { createEventLog } from '../events/log.ts'
import { folders } from '../storage.ts'
import { openDatabase } from './connect.ts'
import { openPglite } from './pglite.ts'

const targets = databaseTargets()
const [embedded] = targets
const temporary: string[] = []
afterAll(() => {
  for (const folder of temporary) rmSync(folder, { recursive: true, force: true })
})

const fullDisk = fileURLToPath(new URL('../../testing/db/full_disk.ts', import.meta.url))

/** A message of the simple query protocol. */
function query(text: string): Uint8Array {
  const body = Buffer.from(`${text}\0`)
  const head = Buffer.alloc(5)
  head.write('Q')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

describe('the embedded database', () => {
  it('runs with fsync on', async () => {
    const { db, close } = await openDatabase(await embedded.create())
    const settings = await db.execute(sql`select current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit, current_setting('full_page_writes') as pages`)
    expect(settings.rows).toEqual([{ fsync: 'on', synchronous_commit: 'on', pages: 'on' }])
    await close()
  })

  it('flushes its log to the disk at every commit, before it answers', async () => {
    const { dataDir } = await embedded.create()
    const backend = await openPglite({ folder: join(dataDir, folders.database) })
    await backend.execute(query('create table rows (id int)'))
    const plain = fs.fsyncSync
    let flushes = 0
    fs.fsyncSync = file => {
      flushes += 1
      plain(file)
    }
    syncBuiltinESMExports()
    try {
      for (let id = 0; id < 10; id++) await backend.execute(query(`insert into rows values (${id})`))
      expect(flushes).toBeGreaterThanOrEqual(10)
      flushes = 0
      await backend.execute(query('select count(*) from rows'))
      expect(flushes).toBe(0)
    } finally {
      fs.fsyncSync = plain
      syncBuiltinESMExports()
      await backend.close()
    }
  })

  it('says that the disk is full, and goes on once it is not, with all that was written before', async () => {
    const { dataDir } = await embedded.create()
    const child = spawn(process.execPath, ['--import', fullDisk, fullDisk], {
      env: { ...process.env, MISTUDIO_DATA_DIR: dataDir },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) lines.push(line)
    expect(lines).toEqual([
      'one: written',
      expect.stringMatching(/^two: could not write to log file .*: No space left on device$/),
      expect.stringMatching(/^three: .*the embedded database does not start.* No space left on device/),
      'four: written',
      'one, four',
    ])
  })

  it('stops at a flush that fails: what was not flushed is not called written', async () => {
    const { dataDir } = await embedded.create()
    const folder = join(dataDir, folders.database)
    const backend = await openPglite({ folder })
    await backend.execute(query('create table rows (id int)'))
    const plain = fs.fsyncSync
    fs.fsyncSync = () => {
      throw Object.assign(new Error('broken disk'), { code: 'EIO' })
    }
    syncBuiltinESMExports()
    try {
      const answer = await backend.execute(query('insert into rows values (1)'))
      expect(Buffer.from(answer).toString('latin1')).toMatch(/PANIC.*could not fsync file/)
      expect(backend.stopped()).toBe(true)
    } finally {
      fs.fsyncSync = plain
      syncBuiltinESMExports()
      await backend.close()
    }
  })

  it('is made anew where the making of one was cut short, and never found half-made', async () => {
    const { dataDir } = await embedded.create()
    const folder = join(dataDir, folders.database)
    // What is left of one that was being made when the power went.
    cpSync(folder, join(dataDir, `.${folders.database}.next`), { recursive: true })
    rmSync(folder, { recursive: true })
    const started = performance.now()
    const { db, close } = await openDatabase({ dataDir })
    console.log(`a new embedded database is there in ${(performance.now() - started).toFixed(0)} ms`)
    const { rows } = await db.execute(sql`select count(*)::int as rows from datasets`)
    expect(rows).toEqual([{ rows: 0 }])
    await close()
    expect(readdirSync(dataDir)).toEqual([folders.database])
  })

  it('refuses a folder of another Postgres, and says what is wrong with one that is none', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'mistudio-studio-'))
    temporary.push(dataDir)
    const folder = join(dataDir, folders.database)
    mkdirSync(folder)
    writeFileSync(join(folder, 'PG_VERSION'), '17\n')
    await expect(openDatabase({ dataDir })).rejects.toMatchObject({
      name: 'InputError',
      details: { file: join(folder, 'PG_VERSION'), found: '17', expected: '18' },
    })
    writeFileSync(join(folder, 'PG_VERSION'), '18\n')
    await expect(openDatabase({ dataDir })).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('the embedded database does not start'),
    })
    expect(existsSync(join(folder, 'PG_VERSION'))).toBe(true)
  })
})

const writer = fileURLToPath(new URL('../../testing/db/writer.ts', import.meta.url))

describe.each(targets)('a process that is killed while it writes, on $kind', target => {
  it('has written every row that it said it had', async () => {
    const place = await target.create()
    const child = spawn(process.execPath, [writer, place.dataDir, place.databaseUrl ?? ''], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let acknowledged = 0
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line)
      if (acknowledged === 50) child.kill('SIGKILL')
    }
    expect(acknowledged).toBeGreaterThanOrEqual(50)
    const { db, close } = await openDatabase(place)
    const events = await createEventLog({ db }).list({ channel: 'jobs/all', after: 0, limit: 10_000 })
    expect(events.length).toBeGreaterThanOrEqual(acknowledged)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1))
    await close()
  })
})

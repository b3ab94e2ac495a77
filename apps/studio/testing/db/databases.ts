// Databases for tests: every test of the studio runs on the embedded database and on a real Postgres.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { Client } from 'pg'
import { afterAll } from 'vitest'
import { folders } from '../../src/storage.ts'
import { postgresFolder } from './postgres_folder.ts'

export type DatabaseTarget = {
  kind: 'pglite' | 'postgres'
  /**
   * A folder and an empty database for it: options of openDatabase, or of the whole studio. Both are removed after
   * the file's last test.
   */
  create(): Promise<{ dataDir: string; databaseUrl?: string }>
}

/**
 * Call it once at the top of a test file: `describe.each(databaseTargets())('… on $kind', target => …)`.
 * Postgres is MISTUDIO_TEST_DATABASE_URL, whose user may create databases, or a private one of Debian's packages,
 * which starts when the first test asks for it. Without either, only the embedded one is tested, and
 * tests/prerequisites.test.ts is skipped, which says so and fails where MISTUDIO_STRICT is 1.
 */
export function databaseTargets(): DatabaseTarget[] {
  const removed: string[] = []
  afterAll(() => {
    for (const folder of removed) rmSync(folder, { recursive: true, force: true })
  })
  const newFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'mistudio-studio-'))
    removed.push(folder)
    return folder
  }
  const targets = [embedded(newFolder)]
  if (hasPostgres()) targets.push(postgres(newFolder))
  return targets
}

export const hasPostgres = (): boolean =>
  process.env.MISTUDIO_TEST_DATABASE_URL !== undefined || postgresFolder() !== undefined

/** Making an embedded database takes seconds, copying one does not. */
function embedded(newFolder: () => string): DatabaseTarget {
  let template: Promise<string> | undefined
  async function make(): Promise<string> {
    const folder = join(newFolder(), folders.database)
    await (await PGlite.create(folder)).close()
    return folder
  }
  return {
    kind: 'pglite',
    async create() {
      template ??= make()
      const dataDir = newFolder()
      cpSync(await template, join(dataDir, folders.database), { recursive: true })
      return { dataDir }
    },
  }
}

function postgres(newFolder: () => string): DatabaseTarget {
  const given = process.env.MISTUDIO_TEST_DATABASE_URL
  const made: string[] = []
  let cluster: Cluster | undefined
  const url = async () => given ?? (cluster ??= startCluster()).url
  afterAll(async () => {
    if (given !== undefined)
      for (const name of made) await administer(given, `drop database ${name} with (force)`)
    await cluster?.stop()
  })
  return {
    kind: 'postgres',
    async create() {
      const server = await url()
      const name = `mistudio_test_${randomUUID().replaceAll('-', '')}`
      await administer(server, `create database ${name}`)
      made.push(name)
      const databaseUrl = server.replace(/\/[^/?]*(\?|$)/, `/${name}$1`)
      return { dataDir: newFolder(), databaseUrl }
    },
  }
}

async function administer(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

type Cluster = { url: Promise<string>; stop(): Promise<void> }

function startCluster(): Cluster {
  const script = fileURLToPath(new URL('./postgres.ts', import.meta.url))
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'pipe'] })
  return { url: addressOf(child), stop: () => ended(child, () => child.stdin.end()) }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const errors = text(child.stderr!)
  for await (const line of createInterface({ input: child.stdout! })) return line
  throw new Error(`no Postgres for the tests: ${await errors}`)
}

function ended(child: ChildProcess, end: () => void): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve()
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  end()
  return exited
}

// Databases for tests: every test of the studio runs on the embedded database and on a real Postgres.
import { randomUUID } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, text } from 'node:stream/consumers'
import { afterAll, inject } from 'vitest'
import { administer, databaseAt } from './administer.ts'
import { postgresFolder } from './postgres_folder.ts'
import type { SharedEmbedded, SharedPostgres } from './shared.ts'

export type DatabaseTarget = {
  kind: 'pglite' | 'postgres'
  /**
   * A folder and a database for it, migrated and without rows: options of openDatabase, or of the whole studio. Both
   * are removed after the file's last test.
   * @param options.migrated default true; false: not even a table
   */
  create(options?: { migrated?: boolean }): Promise<{ dataDir: string; databaseUrl?: string }>
}

/**
 * Call it once at the top of a test file: `describe.each(databaseTargets())('… on $kind', target => …)`.
 * Databases are copies of what shared.ts makes once a run. Postgres is MISTUDIO_TEST_DATABASE_URL, whose user may
 * create databases, or a private one of Debian's packages. Without either, only the embedded one is tested, and
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

function embedded(newFolder: () => string): DatabaseTarget {
  return {
    kind: 'pglite',
    async create({ migrated = true } = {}) {
      const dataDir = newFolder()
      const { folder } = await ask<SharedEmbedded>('/embedded')
      cpSync(join(folder, migrated ? 'migrated' : 'empty'), dataDir, { recursive: true })
      return { dataDir }
    },
  }
}

function postgres(newFolder: () => string): DatabaseTarget {
  const made: { url: string; name: string }[] = []
  afterAll(async () => {
    for (const { url, name } of made) await administer(url, `drop database ${name} with (force)`)
  })
  return {
    kind: 'postgres',
    async create({ migrated = true } = {}) {
      const { url, template } = await ask<SharedPostgres>('/postgres')
      const name = `mistudio_test_${randomUUID().replaceAll('-', '')}`
      await administer(url, `create database ${name}${migrated ? ` template ${template}` : ''}`)
      made.push({ url, name })
      return { dataDir: newFolder(), databaseUrl: databaseAt(url, name) }
    },
  }
}

/** Asks shared.ts in vitest's main process, which makes it at the first question. */
function ask<T>(path: string): Promise<T> {
  const socketPath = inject('sharedDatabases')
  return new Promise<T>((resolve, reject) => {
    const asked = request({ socketPath, path }, async response => {
      if (response.statusCode === 200) resolve((await json(response)) as T)
      else reject(new Error(await text(response)))
    })
    asked.on('error', reject).end()
  })
}

// What the test files of a run share: one Postgres with a migrated template, and embedded databases to copy. Vitest
// loads this once, in its main process; test files ask over a socket, so that a run that needs no database makes none.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { administer, databaseAt } from './administer.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The socket; databases.ts asks there. */
    sharedDatabases: string
  }
}

/** A Postgres that accepts connections, and its database that is copied. */
export type SharedPostgres = { url: string; template: string }
/** A folder with `empty` and `migrated`, each a data folder with a database. */
export type SharedEmbedded = { folder: string }

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const cache = here('../../../../.cache/tests')

/** @returns takes everything away but the cache of embedded databases */
export default async function share(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-shared-'))
  const postgres = sharedPostgres()
  const made = { '/embedded': once(embeddedDatabases), '/postgres': once(postgres.start) }
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      response.end(JSON.stringify(await made[request.url as keyof typeof made]()))
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  }
  const server = createServer((request, response) => void answer(request, response))
  const socket = join(folder, 'socket')
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve))
  project.provide('sharedDatabases', socket)
  return async () => {
    server.close()
    server.closeAllConnections()
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const once = <T>(make: () => Promise<T>): (() => Promise<T>) => {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

const makeTemplate = (place: string) => promisify(execFile)(process.execPath, [here('./template.ts'), place])

/** Made anew when the code of the database, or PGlite, is another: the name of the folder is a hash of both. */
async function embeddedDatabases(): Promise<SharedEmbedded> {
  const hash = createHash('sha256').update(process.version)
  const sources = here('../../src/db')
  const code = readdirSync(sources).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite')
  for (const path of [...code.map(name => join(sources, name)), here('./template.ts'), pglite])
    hash.update(readFileSync(path))
  const folder = join(cache, `embedded-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(folder)) return { folder }
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'making-'))
  try {
    await makeTemplate(making)
    for (const old of readdirSync(cache).filter(name => name.startsWith('embedded-')))
      rmSync(join(cache, old), { recursive: true, force: true })
    renameSync(making, folder)
  } catch (error) {
    rmSync(making, { recursive: true, force: true })
    // Another run may have been quicker.
    if (!existsSync(folder)) throw error
  }
  return { folder }
}

/** MISTUDIO_TEST_DATABASE_URL, or a private one of Debian's packages (postgres.ts). */
function sharedPostgres() {
  const given = process.env.MISTUDIO_TEST_DATABASE_URL
  const template = `mistudio_template_${randomUUID().replaceAll('-', '')}`
  let child: ChildProcess | undefined
  let url: string | undefined
  return {
    async start(): Promise<SharedPostgres> {
      if (given === undefined) child = spawn(process.execPath, [here('./postgres.ts')], { stdio: 'pipe' })
      const server = given ?? (await addressOf(child!))
      await administer(server, `create database ${template}`)
      url = server
      await makeTemplate(databaseAt(server, template))
      return { url: server, template }
    },
    async stop(): Promise<void> {
      if (given !== undefined && url !== undefined)
        await administer(given, `drop database ${template} with (force)`)
      if (child === undefined || child.exitCode !== null) return
      const exited = new Promise<void>(resolve => child!.once('exit', () => resolve()))
      child.stdin!.end()
      await exited
    },
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const errors = text(child.stderr!)
  for await (const line of createInterface({ input: child.stdout! })) return line
  throw new Error(`no Postgres for the tests: ${await errors}`)
}

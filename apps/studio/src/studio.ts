// The studio as one thing that starts and ends: lock, database, events, job host, server, in this order, and back.
import { InputError } from '@mistudio/files'
import type { FastifyInstance } from 'fastify'
import { openDatabase } from './db/connect.ts'
import { lockDataFolder } from './db/lock.ts'
import { type DemoSize, startDemo } from './demo.ts'
import { clearUploads } from './domain/datasets/uploads.ts'
import { createExtractionShelf } from './domain/extractions/shelf.ts'
import type { Services } from './domain/services.ts'
import { createEventLog } from './events/log.ts'
import { createJobHost } from './jobs/host.ts'
import { checkLoopback } from './security.ts'
import { buildServer } from './server.ts'
import { createStorage } from './storage.ts'

export const defaultPort = 8484
const defaultMaxUploadBytes = 16 * 2 ** 30

export type Studio = { url: string; close(): Promise<void> }

/**
 * @param options.dataDir made where it is missing
 * @param options.host an address of this machine alone; default 127.0.0.1
 * @param options.port default 8484; 0: any free one
 * @param options.databaseUrl of a Postgres; default an embedded one in the data folder
 * @param options.demo whether a new data folder gets the demo project, or of which size; default true
 * @param options.threads compute threads of a job; default one a core
 * @param options.onError told of faults of ours; default stderr
 * @throws InputError when the folder is in use or of a newer version, or the port is taken
 */
export async function startStudio(options: {
  dataDir: string
  host?: string
  port?: number
  databaseUrl?: string
  demo?: boolean | DemoSize
  threads?: number
  onError?: (error: unknown) => void
  webDir?: string
}): Promise<Studio> {
  const {
    dataDir,
    host = '127.0.0.1',
    port = defaultPort,
    databaseUrl,
    demo = true,
    threads,
    webDir,
  } = options
  const { onError = error => console.error(error) } = options
  checkLoopback(host)
  // What is open so far, to be closed from the last to the first, whether all of it came up or not.
  const opened: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await Promise.resolve(end()).catch(onError)
  }
  try {
    const lock = await lockDataFolder({ dataDir })
    opened.push(() => lock.release())
    const storage = createStorage({ dataDir })
    await clearUploads(storage)
    const database = await openDatabase({ dataDir, databaseUrl })
    opened.push(() => database.close())
    const log = createEventLog({ db: database.db })
    opened.push(() => log.close())
    const shelf = createExtractionShelf()
    opened.push(() => shelf.close())
    const jobHost = createJobHost({ database, log, storage, threads, onError })
    opened.push(() => jobHost.close())
    const services: Services = {
      db: database.db,
      log,
      host: jobHost,
      storage,
      shelf,
      threads,
      maxUploadBytes: defaultMaxUploadBytes,
      onError,
    }
    const app = await buildServer({ services, webDir })
    opened.push(() => app.close())
    const url = await listen({ app, host, port })
    // Work begins only where the server can be reached.
    await jobHost.start()
    lock.setUrl(url)
    if (demo !== false) opened.push(await startDemo(services, demo === true ? undefined : demo))
    return { url, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function listen(options: { app: FastifyInstance; host: string; port: number }): Promise<string> {
  const { app, host, port } = options
  try {
    return await app.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    throw new InputError({
      message: code === 'EADDRINUSE' ? 'the port is taken' : 'the port may not be used',
      field: 'port',
      found: String(port),
      expected: 'a free port: --port chooses another, 0 any',
    })
  }
}

// The thread of the embedded database: a bulk insert would stop the event loop of the thread that serves people.
import { parentPort, workerData } from 'node:worker_threads'
import { InputError, type InputErrorDetails } from '@mistudio/files'
import { type Backend, openPglite } from './pglite.ts'

export type PgliteData = { folder: string }

/** Connections are numbered from 1; a new one ends the one before, for the embedded Postgres has a single session. */
export type PgliteRequest = { kind: 'data'; connection: number; bytes: Uint8Array } | { kind: 'close' }

export type PgliteAnswer =
  | { kind: 'ready' }
  | { kind: 'failed'; message: string; details?: InputErrorDetails }
  | { kind: 'data'; connection: number; bytes: Uint8Array }
  /** The connection cannot go on. */
  | { kind: 'ended'; connection: number; message: string }

const port = parentPort
if (port === null) throw new Error('pglite_worker.ts must run as a worker thread')
const send = (answer: PgliteAnswer, transfer: ArrayBuffer[] = []) => port.postMessage(answer, transfer)

let current = 0
/** Undefined after it has stopped: the next connection opens the folder anew, and Postgres recovers from its log. */
let backend: Backend | undefined

async function serve(request: PgliteRequest): Promise<void> {
  if (request.kind === 'close') {
    await backend?.close()
    // Of this thread; a Postgres that stopped may have left a timer, which need not be waited for.
    process.exit()
  }
  const { connection, bytes } = request
  // What a connection that was given up still says concerns nobody.
  if (connection < current) return
  const ended = (message: string) => send({ kind: 'ended', connection, message })
  try {
    if (connection > current) {
      current = connection
      if (backend === undefined) backend = await openPglite(workerData as PgliteData)
      else await backend.reset()
    }
    if (backend === undefined) return ended('Postgres has stopped')
    const answer = await backend.execute(bytes)
    send({ kind: 'data', connection, bytes: answer }, [answer.buffer])
  } catch (error) {
    ended(error instanceof Error ? error.message : String(error))
  }
  if (!backend?.stopped()) return
  backend = undefined
  ended('Postgres has stopped')
}

// Messages wait in the port until there is a listener.
try {
  backend = await openPglite(workerData as PgliteData)
  let queue: Promise<void> = Promise.resolve()
  port.on('message', (request: PgliteRequest) => {
    queue = queue.then(() => serve(request))
  })
  send({ kind: 'ready' })
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  send({ kind: 'failed', message, ...(error instanceof InputError && { details: error.details }) })
}

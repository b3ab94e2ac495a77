// The thread of the embedded database: a bulk insert would stop the event loop of the thread that serves people.
import { parentPort, workerData } from 'node:worker_threads'
import { InputError, type InputErrorDetails } from '@mistudio/tensor'
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

async function serve(backend: Backend, request: PgliteRequest): Promise<void> {
  if (request.kind === 'close') {
    await backend.close()
    port!.close()
    return
  }
  const { connection, bytes } = request
  // What a connection that was given up still says concerns nobody.
  if (connection < current) return
  try {
    if (connection > current) {
      if (current > 0) await backend.reset()
      current = connection
    }
    const answer = await backend.execute(bytes)
    send({ kind: 'data', connection, bytes: answer }, [answer.buffer])
  } catch (error) {
    send({ kind: 'ended', connection, message: error instanceof Error ? error.message : String(error) })
  }
}

// Messages wait in the port until there is a listener.
try {
  const backend = await openPglite(workerData as PgliteData)
  let queue: Promise<void> = Promise.resolve()
  port.on('message', (request: PgliteRequest) => {
    queue = queue.then(() => serve(backend, request))
  })
  send({ kind: 'ready' })
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  send({ kind: 'failed', message, ...(error instanceof InputError && { details: error.details }) })
}

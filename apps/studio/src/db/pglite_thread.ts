// The embedded database as the main thread sees it: a server to connect to. `pg` speaks to it through a stream as it
// does to a real one, so both have one driver, one set of types and one notion of a transaction.
import { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { InputError } from '@mistudio/files'
import { joined } from './bytes.ts'
import type { PgliteAnswer, PgliteData, PgliteRequest } from './pglite_worker.ts'

export type PgliteThread = {
  /** A new connection; the one before must have been given up. */
  connect(): Duplex
  close(): Promise<void>
}

/** @throws InputError as openPglite does */
export async function startPgliteThread(options: { folder: string }): Promise<PgliteThread> {
  const workerData: PgliteData = { folder: options.folder }
  const worker = new Worker(new URL('./pglite_worker.ts', import.meta.url), { workerData })
  const send = (request: PgliteRequest, transfer: ArrayBuffer[] = []) => worker.postMessage(request, transfer)
  let connections = 0
  let current: { number: number; stream: Duplex } | undefined
  let failure: Error | undefined

  const ready = Promise.withResolvers<void>()
  const exited = Promise.withResolvers<void>()
  const fail = (error: Error) => {
    failure ??= error
    ready.reject(failure)
    current?.stream.destroy(failure)
  }
  worker.on('error', fail)
  worker.on('exit', () => {
    fail(new Error('the thread of the embedded database has ended'))
    exited.resolve()
  })
  worker.on('message', (answer: PgliteAnswer) => {
    if (answer.kind === 'ready') return ready.resolve()
    if (answer.kind === 'failed') {
      return ready.reject(answer.details ? new InputError(answer.details) : new Error(answer.message))
    }
    if (answer.connection !== current?.number) return
    if (answer.kind === 'data') current.stream.push(answer.bytes)
    else current.stream.destroy(new Error(`the embedded database ended the connection: ${answer.message}`))
  })

  function connect(): Duplex {
    const number = ++connections
    const write = (chunks: Uint8Array[]) => {
      const bytes = joined(chunks)
      send({ kind: 'data', connection: number, bytes }, [bytes.buffer])
    }
    const stream = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        write([chunk])
        done()
      },
      // A batch of the extended protocol is one message, not five.
      writev(chunks, done) {
        write(chunks.map(({ chunk }) => chunk as Buffer))
        done()
      },
      // Answers that come later are for nobody.
      final(done) {
        if (current?.number === number) current = undefined
        stream.push(null)
        done()
      },
    })
    current = { number, stream }
    // What `pg` asks of a socket.
    return Object.assign(stream, {
      connect: () => process.nextTick(() => (failure ? stream.destroy(failure) : stream.emit('connect'))),
      setNoDelay() {},
      setKeepAlive() {},
      ref() {},
      unref() {},
    })
  }

  try {
    await ready.promise
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return {
    connect,
    async close() {
      send({ kind: 'close' })
      await exited.promise
    },
  }
}

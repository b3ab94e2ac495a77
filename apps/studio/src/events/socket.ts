// The WebSocket of events: a client subscribes to channels and gets a snapshot or what it missed, then everything
// new. A client that does not read is not waited for: it is closed, comes back with the last number it saw, and goes
// on from there.
import type { WebSocket } from '@fastify/websocket'
import { type SocketMessage, type SocketRequest, socketRequest } from '@mistudio/contract'
import { parsePart, problemOf } from '../problem_of.ts'
import type { EventSource } from './source.ts'

/** Bytes that wait to be sent to one client. */
export const maxBufferedBytes = 8 << 20
const maxChannels = 500
const maxWaitingRequests = 1000
/** Pings without an answer, after which a client is dead; a busy page answers late. */
const patience = 2
/** For the closing handshake; a client that does not answer is cut off. */
const closeMilliseconds = 5_000

/** Close codes of RFC 6455 and its registry. */
const goingAway = 1001
const policyViolation = 1008
const tryAgainLater = 1013

export type Sockets = { handle(socket: WebSocket): void; close(): void }

/** @param options.pingMilliseconds how often clients are asked whether they live; default 20,000 */
export function createSockets(options: { source: EventSource; pingMilliseconds?: number }): Sockets {
  const { source, pingMilliseconds = 20_000 } = options
  const clients = new Set<Client>()
  const beat = setInterval(() => {
    for (const client of clients) client.beat()
  }, pingMilliseconds)
  beat.unref()
  return {
    handle(socket) {
      const client = createClient(source, socket)
      clients.add(client)
      socket.on('close', () => {
        clients.delete(client)
        client.end()
      })
    },
    close() {
      clearInterval(beat)
      for (const client of clients) client.close(goingAway, 'the server ends')
    },
  }
}

type Subscribe = Extract<SocketRequest, { subscribe: string }>

type Client = {
  /** Asks whether it lives. */
  beat(): void
  close(code: number, reason: string): void
  /** It is gone. */
  end(): void
}

function createClient({ db, log, snapshotOf, onError }: EventSource, socket: WebSocket): Client {
  const channels = new Map<string, () => void>()
  // Requests are done one after the other: an unsubscribe never overtakes its subscribe.
  let requests = Promise.resolve()
  let waiting = 0
  let unanswered = 0
  let open = true

  function end(): void {
    open = false
    for (const unsubscribe of channels.values()) unsubscribe()
    channels.clear()
  }

  function close(code: number, reason: string): void {
    if (!open) return
    end()
    socket.close(code, reason)
    const timer = setTimeout(() => socket.terminate(), closeMilliseconds)
    timer.unref()
    socket.on('close', () => clearTimeout(timer))
  }

  function send(message: SocketMessage): void {
    if (!open) return
    if (socket.bufferedAmount > maxBufferedBytes) close(tryAgainLater, 'too slow: subscribe again with after')
    else socket.send(JSON.stringify(message))
  }

  function refuse(error: unknown): void {
    const { status, title, field, found, expected } = problemOf(error)
    if (status >= 500) onError(error)
    send({ error: { title, field, found, expected } })
  }

  async function subscribe({ subscribe: channel, after }: Subscribe): Promise<void> {
    if (channels.size >= maxChannels && !channels.has(channel)) {
      return close(policyViolation, `more than ${maxChannels} channels`)
    }
    // A channel of nothing would be silent for ever.
    if (after !== undefined) await snapshotOf(db, channel)
    channels.get(channel)?.()
    channels.delete(channel)
    const unsubscribe = await log.subscribe({
      channel,
      after,
      snapshot: tx => snapshotOf(tx, channel),
      onMessage: send,
      onError: error => {
        onError(error)
        close(tryAgainLater, 'reading the events failed')
      },
    })
    if (open) channels.set(channel, unsubscribe)
    else unsubscribe()
  }

  async function perform(text: string): Promise<void> {
    const request = parseRequest(text)
    if ('subscribe' in request) return subscribe(request)
    channels.get(request.unsubscribe)?.()
    channels.delete(request.unsubscribe)
  }

  socket.on('message', (data, isBinary) => {
    if (++waiting > maxWaitingRequests) return close(policyViolation, 'too many requests at once')
    requests = requests
      .then(() => (open ? perform(isBinary ? '' : data.toString()) : undefined))
      .catch(refuse)
      .finally(() => waiting--)
  })
  socket.on('pong', () => {
    unanswered = 0
  })
  return {
    beat() {
      if (unanswered++ >= patience) return socket.terminate()
      socket.ping()
    },
    close,
    end,
  }
}

function parseRequest(text: string): SocketRequest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = text
  }
  // The message of the one that was meant says more than that of both.
  const [subscribing, unsubscribing] = socketRequest.options
  const leaves = typeof value === 'object' && value !== null && 'unsubscribe' in value
  return parsePart({ schema: leaves ? unsubscribing : subscribing, value, part: 'message' })
}

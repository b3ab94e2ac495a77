// The page's one WebSocket. A channel is a numbered stream: its events are delivered in order and exactly once, whatever
// happens to the connection. After a loss the socket reconnects by itself and asks for what it missed.
import type { SocketMessage, SocketRequest, StudioEvent } from '@mistudio/contract'
import { type Connection, createConnection, type RawSocket } from './connection.ts'

type Listener = {
  /** Events this listener has not seen yet, in order. */
  onEvents(events: StudioEvent[]): void
  /** The entity as it was when the subscription began; never with `history`. */
  onSnapshot?(data: unknown): void
}

export type StudioSocket = Omit<Connection, 'send'> & {
  /**
   * @param options.history all events from the first one on; default: a snapshot, then new events
   * @returns a function that ends the subscription
   */
  subscribe(options: { channel: string; history?: boolean } & Listener): () => void
}

/** A replay is delivered once no event has come for this long, so that the past does not play back like a film. */
const replayQuietMs = 120
const replayLimitMs = 2000
/** Events that arrive within this time are delivered together. */
const gatherMs = 25

type Subscriber = Listener & { seen: number }
type Channel = {
  subscribers: Set<Subscriber>
  /** Sequence number of the last event accepted; undefined: none yet. */
  last: number | undefined
  /** All events from the first one on; undefined if nobody asked for them. */
  log: StudioEvent[] | undefined
  pending: StudioEvent[]
  replaying: boolean
  /** When the oldest pending event arrived. */
  waitingSince: number | undefined
  timer: ReturnType<typeof setTimeout> | undefined
  /** The gap last requested: everything after `last`, noticed when event `seq` arrived. */
  asked: { last: number; seq: number } | undefined
}

const newChannel = (history: boolean): Channel => ({
  subscribers: new Set(),
  last: history ? 0 : undefined,
  log: history ? [] : undefined,
  pending: [],
  replaying: history,
  waitingSince: undefined,
  timer: undefined,
  asked: undefined,
})

/**
 * Whether the event numbered `seq` is the next one. Events of an earlier subscription may still arrive after a new one
 * has asked for everything. A gap is requested once; if the reply starts after it too, the missing events do not exist.
 */
function verdictOn(channel: Channel, seq: number): 'accept' | 'request' | 'drop' {
  const { last, asked } = channel
  if (last === undefined || seq === last + 1) return 'accept'
  if (seq <= last) return 'drop'
  if (asked?.last !== last) {
    channel.asked = { last, seq }
    return 'request'
  }
  return seq > asked.seq ? 'drop' : 'accept'
}

/** Sets the time at which the pending events are delivered: at the end of a replay, or shortly after the first. */
function deliverSoon(channel: Channel): void {
  const now = Date.now()
  channel.waitingSince ??= now
  const wait = channel.replaying
    ? Math.max(0, Math.min(replayQuietMs, channel.waitingSince + replayLimitMs - now))
    : gatherMs
  if (channel.replaying) clearTimeout(channel.timer)
  else if (channel.timer !== undefined) return
  channel.timer = setTimeout(() => deliver(channel), wait)
}

function deliver(channel: Channel): void {
  const { pending } = channel
  Object.assign(channel, { pending: [], timer: undefined, waitingSince: undefined, replaying: false })
  for (const subscriber of [...channel.subscribers]) give(subscriber, pending)
}

function give(subscriber: Subscriber, events: StudioEvent[]): void {
  const fresh = events.filter(({ seq }) => seq > subscriber.seen)
  if (fresh.length === 0) return
  subscriber.seen = fresh[fresh.length - 1].seq
  subscriber.onEvents(fresh)
}

export function createStudioSocket(options: { open: () => RawSocket }): StudioSocket {
  const channels = new Map<string, Channel>()
  const connection = createConnection({
    open: options.open,
    onOpen() {
      for (const name of channels.keys()) request(name)
    },
    onMessage: receive,
  })

  const send = (message: SocketRequest) => connection.send(JSON.stringify(message))

  function request(name: string): void {
    const { last } = channels.get(name)!
    send(last === undefined ? { subscribe: name } : { subscribe: name, after: last })
  }

  function receive(text: string): void {
    let message: SocketMessage
    try {
      message = JSON.parse(text)
    } catch {
      return
    }
    if ('error' in message) {
      console.error(`events: ${message.error.title}`)
      return
    }
    const channel = channels.get(message.channel)
    if (channel === undefined) return
    if (message.event === 'snapshot') {
      if (channel.log !== undefined) return
      channel.last = message.seq
      for (const { onSnapshot } of channel.subscribers) onSnapshot?.(message.data)
      return
    }
    take(message.channel, channel, message)
  }

  function take(name: string, channel: Channel, event: StudioEvent): void {
    const verdict = verdictOn(channel, event.seq)
    if (verdict === 'request') request(name)
    if (verdict !== 'accept') return
    channel.last = event.seq
    channel.log?.push(event)
    channel.pending.push(event)
    deliverSoon(channel)
  }

  function subscribe({
    channel: name,
    history = false,
    ...listener
  }: Parameters<StudioSocket['subscribe']>[0]) {
    const known = channels.get(name)
    const channel = known ?? newChannel(history)
    const subscriber: Subscriber = { ...listener, seen: history ? 0 : (channel.last ?? 0) }
    channel.subscribers.add(subscriber)
    if (known === undefined) {
      channels.set(name, channel)
      request(name)
    } else if (history && channel.log !== undefined) {
      const { log } = channel
      queueMicrotask(() => channel.subscribers.has(subscriber) && give(subscriber, log))
    } else if (history) {
      // The other subscribers keep their place while the stream starts over.
      for (const other of channel.subscribers)
        if (other !== subscriber) other.seen = channel.last ?? other.seen
      Object.assign(channel, { last: 0, log: [], pending: [], replaying: true, asked: undefined })
      send({ unsubscribe: name })
      request(name)
    }
    return () => {
      channel.subscribers.delete(subscriber)
      if (channel.subscribers.size > 0 || channels.get(name) !== channel) return
      clearTimeout(channel.timer)
      channels.delete(name)
      send({ unsubscribe: name })
    }
  }

  return {
    ...connection,
    subscribe,
    close() {
      for (const { timer } of channels.values()) clearTimeout(timer)
      connection.close()
    },
  }
}

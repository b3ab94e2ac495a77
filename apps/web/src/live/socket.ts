// The page's one WebSocket. A channel is a numbered stream: its events are delivered in order, each once, whatever
// the line does. After a loss the socket comes back by itself and asks for what it has not seen.
import type { SocketMessage, SocketRequest, StudioEvent } from '@mistudio/contract'

/** `lost`: there is no line and one is being sought. */
export type SocketState = 'connecting' | 'open' | 'lost'

export type Listener = {
  /** Events that this listener has not been given yet, in order. */
  onEvents(events: StudioEvent[]): void
  /** The entity as it was when the subscription began; not with `history`. */
  onSnapshot?(data: unknown): void
}

export type StudioSocket = {
  /**
   * @param options.history events from the first one on; default: a snapshot, then what is new
   * @returns ends the subscription
   */
  subscribe(options: { channel: string; history?: boolean } & Listener): () => void
  state(): SocketState
  onState(listener: (state: SocketState) => void): () => void
  /** Tries at once instead of waiting for the next turn. */
  retry(): void
  close(): void
}

/** The part of a WebSocket that is used here. */
export type Line = Pick<WebSocket, 'send' | 'close' | 'readyState' | 'addEventListener'>

/** Waits between tries; the last one is repeated. */
export const retryDelaysMs = [1000, 2000, 3000, 4000, 5000]
/** A replay is delivered when it has been quiet for so long, so that a page does not play the past like a film. */
const replayQuietMs = 120
const replayLimitMs = 2000
/** Events that arrive together are delivered together. */
const gatherMs = 25

const openState = 1

type Subscriber = Listener & { seen: number }
type Channel = {
  subscribers: Set<Subscriber>
  /** Sequence number of the last event taken; undefined: none yet. */
  last: number | undefined
  /** All events from the first one; undefined where nobody asked for them. */
  log: StudioEvent[] | undefined
  pending: StudioEvent[]
  replaying: boolean
  /** When the pending events began to wait. */
  waitingSince: number | undefined
  timer: ReturnType<typeof setTimeout> | undefined
  /** A gap for which the missing events were asked for: after `last`, noticed by event `seq`. */
  asked: { last: number; seq: number } | undefined
}

export function createStudioSocket(options: { open: () => Line }): StudioSocket {
  const channels = new Map<string, Channel>()
  const stateListeners = new Set<(state: SocketState) => void>()
  let line: Line | undefined
  let state: SocketState = 'connecting'
  let failures = 0
  let retryTimer: ReturnType<typeof setTimeout> | undefined
  let closed = false

  function move(next: SocketState): void {
    if (next === state) return
    state = next
    for (const listener of [...stateListeners]) listener(state)
  }

  function connect(): void {
    clearTimeout(retryTimer)
    retryTimer = undefined
    const mine = options.open()
    line = mine
    mine.addEventListener('open', () => {
      if (line !== mine) return
      for (const name of channels.keys()) request(name)
      move('open')
    })
    mine.addEventListener('message', event => {
      if (line !== mine) return
      // Not when it opens: a server that hangs up at once is not tried every second.
      failures = 0
      receive(String((event as MessageEvent).data))
    })
    mine.addEventListener('close', () => {
      if (line !== mine || closed) return
      line = undefined
      move('lost')
      retryTimer = setTimeout(connect, retryDelaysMs[Math.min(failures++, retryDelaysMs.length - 1)])
    })
  }

  function send(message: SocketRequest): void {
    if (line?.readyState === openState) line.send(JSON.stringify(message))
  }

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
    const { last } = channel
    if (last !== undefined && event.seq <= last) return
    // Events of an earlier subscription may still be on the way when a new one asks from the beginning. What is
    // missing is asked for once; when the answer begins later too, it is not there.
    if (last !== undefined && event.seq > last + 1) {
      const { asked } = channel
      if (asked?.last !== last) {
        channel.asked = { last, seq: event.seq }
        request(name)
        return
      }
      if (event.seq > asked.seq) return
    }
    channel.last = event.seq
    channel.log?.push(event)
    channel.pending.push(event)
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

  function subscribe({
    channel: name,
    history = false,
    ...listener
  }: Parameters<StudioSocket['subscribe']>[0]) {
    const known = channels.get(name)
    const channel = known ?? {
      subscribers: new Set(),
      last: history ? 0 : undefined,
      log: history ? [] : undefined,
      pending: [],
      replaying: history,
      waitingSince: undefined,
      timer: undefined,
      asked: undefined,
    }
    const subscriber: Subscriber = { ...listener, seen: history ? 0 : (channel.last ?? 0) }
    channel.subscribers.add(subscriber)
    if (known === undefined) {
      channels.set(name, channel)
      request(name)
    } else if (history && channel.log !== undefined) {
      const { log } = channel
      queueMicrotask(() => channel.subscribers.has(subscriber) && give(subscriber, log))
    } else if (history) {
      // Others already know the newest; they keep their own place while the stream begins again.
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

  connect()
  return {
    subscribe,
    state: () => state,
    onState(listener) {
      stateListeners.add(listener)
      return () => stateListeners.delete(listener)
    },
    retry: () => {
      if (!closed && line === undefined) connect()
    },
    close() {
      closed = true
      clearTimeout(retryTimer)
      for (const { timer } of channels.values()) clearTimeout(timer)
      line?.close()
    },
  }
}

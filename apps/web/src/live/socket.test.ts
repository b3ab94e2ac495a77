import type { SocketRequest, StudioEvent } from '@mistudio/contract'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ConnectionState, type RawSocket, retryDelaysMs } from './connection.ts'
import { createStudioSocket } from './socket.ts'

const channel = 'extraction/extr_00000000000000000001'

class FakeSocket {
  readyState = 0
  sent: SocketRequest[] = []
  listeners = new Map<string, ((event: unknown) => void)[]>()
  addEventListener(name: string, listener: (event: unknown) => void) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener])
  }
  emit(name: string, event: unknown = {}) {
    for (const listener of this.listeners.get(name) ?? []) listener(event)
  }
  send(text: string) {
    this.sent.push(JSON.parse(text))
  }
  close() {
    this.drop()
  }
  open() {
    this.readyState = 1
    this.emit('open')
  }
  drop() {
    this.readyState = 3
    this.emit('close')
  }
  say(message: unknown) {
    this.emit('message', { data: JSON.stringify(message) })
  }
  events(from: number, to: number, name = channel) {
    for (let seq = from; seq <= to; seq++) this.say(event(seq, name))
  }
}

const event = (seq: number, name = channel) =>
  ({ seq, channel: name, event: 'extraction:progress', data: {}, at: '' }) as unknown as StudioEvent

let sockets: FakeSocket[] = []
const latest = () => sockets[sockets.length - 1]

function start() {
  return createStudioSocket({
    open: () => {
      sockets.push(new FakeSocket())
      return latest() as unknown as RawSocket
    },
  })
}

/** A subscriber that writes down sequence numbers, a list for each delivery. */
function follow(socket: ReturnType<typeof start>, options: { history?: boolean; channel?: string } = {}) {
  const got: number[][] = []
  const snapshots: unknown[] = []
  const end = socket.subscribe({
    channel,
    ...options,
    onEvents: events => got.push(events.map(({ seq }) => seq)),
    onSnapshot: data => snapshots.push(data),
  })
  return { got, snapshots, end, flat: () => got.flat() }
}

beforeEach(() => {
  sockets = []
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('history is requested from the beginning and delivered at once, followed by new events', () => {
  const socket = start()
  const { got } = follow(socket, { history: true })
  expect(latest().sent).toEqual([])
  latest().open()
  expect(latest().sent).toEqual([{ subscribe: channel, after: 0 }])
  latest().events(1, 20)
  vi.advanceTimersByTime(100)
  latest().events(21, 30)
  expect(got).toEqual([])
  vi.advanceTimersByTime(200)
  expect(got).toEqual([Array.from({ length: 30 }, (_, i) => i + 1)])
  latest().events(31, 31)
  vi.advanceTimersByTime(30)
  expect(got[1]).toEqual([31])
  socket.close()
})

test('a replay that never pauses is delivered nevertheless', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  latest().open()
  for (let seq = 1; seq <= 60; seq++) {
    latest().events(seq, seq)
    vi.advanceTimersByTime(50)
  }
  expect(flat().length).toBeGreaterThan(30)
  socket.close()
})

test('without history a snapshot comes first', () => {
  const socket = start()
  const { flat, snapshots } = follow(socket)
  latest().open()
  expect(latest().sent).toEqual([{ subscribe: channel }])
  latest().say({ seq: 41, channel, event: 'snapshot', data: { progress: 0.5 }, at: '' })
  latest().events(42, 43)
  vi.advanceTimersByTime(50)
  expect(snapshots).toEqual([{ progress: 0.5 }])
  expect(flat()).toEqual([42, 43])
  socket.close()
})

test('after a loss the rest is asked for, and nothing is lost or doubled', () => {
  const socket = start()
  const states: ConnectionState[] = []
  socket.onState(state => states.push(state))
  const { flat } = follow(socket, { history: true })
  latest().open()
  latest().events(1, 3)
  latest().drop()
  expect(socket.state()).toBe('lost')
  vi.advanceTimersByTime(retryDelaysMs[0])
  expect(sockets.length).toBe(2)
  latest().open()
  expect(latest().sent).toEqual([{ subscribe: channel, after: 3 }])
  latest().events(2, 6)
  sockets[0].events(7, 7)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([1, 2, 3, 4, 5, 6])
  expect(states).toEqual(['open', 'lost', 'open'])
  socket.close()
})

test('it retries for ever, after one to five seconds, and starts over once the server has sent something', () => {
  const socket = start()
  expect(retryDelaysMs).toEqual([1000, 2000, 3000, 4000, 5000])
  const expected = [...retryDelaysMs, 5000, 5000]
  for (const delay of expected) {
    latest().drop()
    const before = sockets.length
    vi.advanceTimersByTime(delay - 1)
    expect(sockets.length).toBe(before)
    vi.advanceTimersByTime(1)
    expect(sockets.length).toBe(before + 1)
  }
  // A connection that is closed as soon as it opens does not count as a success.
  latest().open()
  latest().drop()
  vi.advanceTimersByTime(4999)
  expect(sockets.length).toBe(expected.length + 1)
  vi.advanceTimersByTime(1)
  latest().open()
  latest().events(1, 1)
  latest().drop()
  vi.advanceTimersByTime(1000)
  expect(sockets.length).toBe(expected.length + 3)
  socket.close()
  vi.advanceTimersByTime(20_000)
  expect(sockets.length).toBe(expected.length + 3)
})

test('a lost connection is reported once; a retry connects at once, but not twice, nor after the end', () => {
  const socket = start()
  const states: ConnectionState[] = []
  socket.onState(state => states.push(state))
  latest().drop()
  vi.advanceTimersByTime(1000)
  latest().drop()
  expect(states).toEqual(['lost'])
  socket.retry()
  expect(sockets.length).toBe(3)
  socket.retry()
  expect(sockets.length).toBe(3)
  // The try that it was waiting for is off.
  vi.advanceTimersByTime(10_000)
  expect(sockets.length).toBe(3)
  latest().open()
  expect(states).toEqual(['lost', 'open'])
  latest().drop()
  socket.close()
  socket.retry()
  expect(sockets.length).toBe(3)
})

test('a gap is requested once and filled', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  latest().open()
  latest().events(50, 52)
  expect(latest().sent.slice(1)).toEqual([{ subscribe: channel, after: 0 }])
  latest().events(1, 52)
  latest().events(1, 53)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual(Array.from({ length: 53 }, (_, i) => i + 1))
  socket.close()
})

test('a log may begin later than its first event', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  latest().open()
  latest().events(5, 7)
  latest().events(5, 7)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([5, 6, 7])
  socket.close()
})

test('history requested beside a running subscription is not repeated to the first subscriber', async () => {
  const socket = start()
  const first = follow(socket)
  latest().open()
  latest().say({ seq: 3, channel, event: 'snapshot', data: {}, at: '' })
  latest().events(4, 4)
  vi.advanceTimersByTime(50)
  const second = follow(socket, { history: true })
  expect(latest().sent.slice(1)).toEqual([{ unsubscribe: channel }, { subscribe: channel, after: 0 }])
  latest().events(5, 5)
  latest().events(1, 6)
  vi.advanceTimersByTime(300)
  expect(first.flat()).toEqual([4, 5, 6])
  expect(second.flat()).toEqual([1, 2, 3, 4, 5, 6])
  const third = follow(socket, { history: true })
  await Promise.resolve()
  expect(third.flat()).toEqual([1, 2, 3, 4, 5, 6])
  socket.close()
})

test('the last listener to leave ends the subscription, and one that left gets nothing more', () => {
  const socket = start()
  const first = follow(socket, { history: true })
  const second = follow(socket, { history: true })
  latest().open()
  first.end()
  expect(latest().sent.length).toBe(1)
  latest().events(1, 2)
  second.end()
  expect(latest().sent.at(-1)).toEqual({ unsubscribe: channel })
  vi.advanceTimersByTime(300)
  latest().events(3, 3)
  expect([...first.got, ...second.got]).toEqual([])
  socket.close()
})

test('text that is not a message is ignored', () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => {})
  const socket = start()
  const { flat } = follow(socket, { history: true })
  latest().open()
  latest().emit('message', { data: '{' })
  latest().say({ error: { title: 'no such channel' } })
  latest().events(1, 1, 'training/train_00000000000000000001')
  latest().events(1, 1)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([1])
  expect(error).toHaveBeenCalledOnce()
  error.mockRestore()
  socket.close()
})

import type { SocketRequest, StudioEvent } from '@mistudio/contract'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createStudioSocket, type Line, retryDelaysMs, type SocketState } from './socket.ts'

const channel = 'extraction/extr_00000000000000000001'

class FakeLine {
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

let lines: FakeLine[] = []
const line = () => lines[lines.length - 1]

function start() {
  return createStudioSocket({
    open: () => {
      lines.push(new FakeLine())
      return line() as unknown as Line
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
  lines = []
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('history is asked for from the beginning and delivered in one piece, then what is new', () => {
  const socket = start()
  const { got } = follow(socket, { history: true })
  expect(line().sent).toEqual([])
  line().open()
  expect(line().sent).toEqual([{ subscribe: channel, after: 0 }])
  line().events(1, 20)
  vi.advanceTimersByTime(100)
  line().events(21, 30)
  expect(got).toEqual([])
  vi.advanceTimersByTime(200)
  expect(got).toEqual([Array.from({ length: 30 }, (_, i) => i + 1)])
  line().events(31, 31)
  vi.advanceTimersByTime(30)
  expect(got[1]).toEqual([31])
  socket.close()
})

test('a replay that never pauses is delivered all the same', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  line().open()
  for (let seq = 1; seq <= 60; seq++) {
    line().events(seq, seq)
    vi.advanceTimersByTime(50)
  }
  expect(flat().length).toBeGreaterThan(30)
  socket.close()
})

test('without history a snapshot comes first', () => {
  const socket = start()
  const { flat, snapshots } = follow(socket)
  line().open()
  expect(line().sent).toEqual([{ subscribe: channel }])
  line().say({ seq: 41, channel, event: 'snapshot', data: { progress: 0.5 }, at: '' })
  line().events(42, 43)
  vi.advanceTimersByTime(50)
  expect(snapshots).toEqual([{ progress: 0.5 }])
  expect(flat()).toEqual([42, 43])
  socket.close()
})

test('after a loss the rest is asked for, and nothing is lost or doubled', () => {
  const socket = start()
  const states: SocketState[] = []
  socket.onState(state => states.push(state))
  const { flat } = follow(socket, { history: true })
  line().open()
  line().events(1, 3)
  line().drop()
  expect(socket.state()).toBe('lost')
  vi.advanceTimersByTime(retryDelaysMs[0])
  expect(lines.length).toBe(2)
  line().open()
  expect(line().sent).toEqual([{ subscribe: channel, after: 3 }])
  line().events(2, 6)
  lines[0].events(7, 7)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([1, 2, 3, 4, 5, 6])
  expect(states).toEqual(['open', 'lost', 'open'])
  socket.close()
})

test('tries come after one to five seconds, for ever, and begin anew after a word from the server', () => {
  const socket = start()
  expect(retryDelaysMs).toEqual([1000, 2000, 3000, 4000, 5000])
  const expected = [...retryDelaysMs, 5000, 5000]
  for (const delay of expected) {
    line().drop()
    const before = lines.length
    vi.advanceTimersByTime(delay - 1)
    expect(lines.length).toBe(before)
    vi.advanceTimersByTime(1)
    expect(lines.length).toBe(before + 1)
  }
  // One that opens and is closed at once is no success.
  line().open()
  line().drop()
  vi.advanceTimersByTime(4999)
  expect(lines.length).toBe(expected.length + 1)
  vi.advanceTimersByTime(1)
  line().open()
  line().events(1, 1)
  line().drop()
  vi.advanceTimersByTime(1000)
  expect(lines.length).toBe(expected.length + 3)
  socket.close()
  vi.advanceTimersByTime(20_000)
  expect(lines.length).toBe(expected.length + 3)
})

test('a loss is told once; it is tried again at once where asked, but not beside a line, nor after the end', () => {
  const socket = start()
  const states: SocketState[] = []
  socket.onState(state => states.push(state))
  line().drop()
  vi.advanceTimersByTime(1000)
  line().drop()
  expect(states).toEqual(['lost'])
  socket.retry()
  expect(lines.length).toBe(3)
  socket.retry()
  expect(lines.length).toBe(3)
  // The try that it was waiting for is off.
  vi.advanceTimersByTime(10_000)
  expect(lines.length).toBe(3)
  line().open()
  expect(states).toEqual(['lost', 'open'])
  line().drop()
  socket.close()
  socket.retry()
  expect(lines.length).toBe(3)
})

test('a gap is asked for once and filled', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  line().open()
  line().events(50, 52)
  expect(line().sent.slice(1)).toEqual([{ subscribe: channel, after: 0 }])
  line().events(1, 52)
  line().events(1, 53)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual(Array.from({ length: 53 }, (_, i) => i + 1))
  socket.close()
})

test('where the log begins later, it begins later', () => {
  const socket = start()
  const { flat } = follow(socket, { history: true })
  line().open()
  line().events(5, 7)
  line().events(5, 7)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([5, 6, 7])
  socket.close()
})

test('history asked for beside a running subscription does not repeat to the first', async () => {
  const socket = start()
  const first = follow(socket)
  line().open()
  line().say({ seq: 3, channel, event: 'snapshot', data: {}, at: '' })
  line().events(4, 4)
  vi.advanceTimersByTime(50)
  const second = follow(socket, { history: true })
  expect(line().sent.slice(1)).toEqual([{ unsubscribe: channel }, { subscribe: channel, after: 0 }])
  line().events(5, 5)
  line().events(1, 6)
  vi.advanceTimersByTime(300)
  expect(first.flat()).toEqual([4, 5, 6])
  expect(second.flat()).toEqual([1, 2, 3, 4, 5, 6])
  const third = follow(socket, { history: true })
  await Promise.resolve()
  expect(third.flat()).toEqual([1, 2, 3, 4, 5, 6])
  socket.close()
})

test('the last one to leave ends the subscription; a listener that left hears nothing', () => {
  const socket = start()
  const first = follow(socket, { history: true })
  const second = follow(socket, { history: true })
  line().open()
  first.end()
  expect(line().sent.length).toBe(1)
  line().events(1, 2)
  second.end()
  expect(line().sent.at(-1)).toEqual({ unsubscribe: channel })
  vi.advanceTimersByTime(300)
  line().events(3, 3)
  expect([...first.got, ...second.got]).toEqual([])
  socket.close()
})

test('what is no message is passed over', () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => {})
  const socket = start()
  const { flat } = follow(socket, { history: true })
  line().open()
  line().emit('message', { data: '{' })
  line().say({ error: { title: 'no such channel' } })
  line().events(1, 1, 'training/train_00000000000000000001')
  line().events(1, 1)
  vi.advanceTimersByTime(200)
  expect(flat()).toEqual([1])
  expect(error).toHaveBeenCalledOnce()
  error.mockRestore()
  socket.close()
})

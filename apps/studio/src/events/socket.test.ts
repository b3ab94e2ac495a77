// Events as a client gets them, over the WebSocket and as server-sent events, on both databases.
import { channelOf, type SocketMessage, type StudioEvent } from '@mistudio/contract'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { databaseTargets } from '../../testing/db/databases.ts'
import {
  addDemoModel,
  addText,
  eventually,
  startTestServer,
  type TestServer,
  trainingBody,
} from '../../testing/server.ts'

type Listener = {
  messages: SocketMessage[]
  socket: WebSocket
  send(message: unknown): void
  /** The next message that was not taken yet. */
  next(): Promise<SocketMessage>
}

describe.each(databaseTargets())('on $kind', target => {
  let server: TestServer
  let trainingId: string
  let channel: string
  let sockets: WebSocket[] = []
  beforeAll(async () => {
    server = await startTestServer(target)
  })
  afterAll(async () => {
    await server.close()
    expect(server.faults).toEqual([])
  })
  beforeEach(async () => {
    const models = await server.client.listModels()
    const model = models.data[0] ?? (await addDemoModel(server))
    const text = await addText(server)
    const training = await server.client.createTraining({ body: trainingBody(model.id, [text.id]) })
    trainingId = training.id
    channel = channelOf.training(trainingId)
  })
  afterEach(() => {
    for (const socket of sockets) socket.terminate()
    sockets = []
  })

  async function connect(): Promise<Listener> {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/events`)
    sockets.push(socket)
    const messages: SocketMessage[] = []
    let taken = 0
    socket.on('message', data => messages.push(JSON.parse(data.toString())))
    await new Promise<void>((resolve, reject) => {
      socket.on('open', resolve)
      socket.on('error', reject)
    })
    return {
      messages,
      socket,
      send: message => socket.send(JSON.stringify(message)),
      async next() {
        await eventually(() => messages.length).toBeGreaterThan(taken)
        return messages[taken++]
      },
    }
  }

  const status = (id = trainingId) => ({
    channel: channelOf.training(id),
    event: 'training:status' as const,
    data: { training_id: id, status: 'pending' as const, error_message: null },
  })
  const write = (count: number) =>
    server.services.log.write(async () => Array.from({ length: count }, () => status()))
  const seqs = (messages: SocketMessage[]) =>
    messages.map(message => ('seq' in message ? message.seq : message))

  test('without `after` a snapshot comes first, as its GET route gives it, then everything new', async () => {
    const listener = await connect()
    listener.send({ subscribe: channel })
    expect(await listener.next()).toEqual({
      seq: 1,
      channel,
      event: 'snapshot',
      at: expect.any(String),
      data: await server.client.getTraining({ params: { id: trainingId } }),
    })
    await write(2)
    expect(await listener.next()).toMatchObject({ seq: 2, event: 'training:status' })
    expect(await listener.next()).toMatchObject({ seq: 3 })
  })

  test('with `after` what was missed comes, then what is new: nothing twice, nothing left out', async () => {
    await write(700)
    const listener = await connect()
    listener.send({ subscribe: channel, after: 41 })
    await Promise.all([write(3), write(2), write(1)])
    const last = 1 + 700 + 6
    await eventually(() => listener.messages.length).toBe(last - 41)
    expect(seqs(listener.messages)).toEqual(Array.from({ length: last - 41 }, (_, i) => 42 + i))
  })

  test('the list of jobs has a channel, which tells of what is made and removed', async () => {
    const listener = await connect()
    listener.send({ subscribe: 'jobs/all' })
    const snapshot = (await listener.next()) as StudioEvent
    expect(snapshot.data).toEqual(await server.client.listJobs({ query: { active: 'true', limit: 500 } }))
    const text = await addText(server)
    const entity = `dataset/${text.id}`
    expect(await listener.next()).toMatchObject({
      event: 'entity:changed',
      data: { entity, status: 'created' },
    })
    await server.client.deleteDataset({ params: { id: text.id } })
    expect(await listener.next()).toMatchObject({
      event: 'entity:changed',
      data: { entity, status: 'deleted' },
    })
  })

  test('after `unsubscribe` nothing comes; a second `subscribe` starts anew', async () => {
    const listener = await connect()
    listener.send({ subscribe: channel, after: 1 })
    listener.send({ unsubscribe: channel })
    listener.send({ subscribe: 'jobs/all' })
    expect(await listener.next()).toMatchObject({ channel: 'jobs/all', event: 'snapshot' })
    await write(1)
    listener.send({ subscribe: channel, after: 0 })
    expect(
      [await listener.next(), await listener.next()].map(message => 'seq' in message && message.seq),
    ).toEqual([1, 2])
    listener.send({ subscribe: channel, after: 1 })
    expect(await listener.next()).toMatchObject({ seq: 2 })
    await write(1)
    expect(await listener.next()).toMatchObject({ seq: 3 })
    await write(1)
    expect(await listener.next()).toMatchObject({ seq: 4 })
  })

  const unknown = `training/train_${'0'.repeat(20)}`
  test.each<[string, string, object]>([
    ['no JSON', 'hello', { found: '"hello"', expected: 'an object' }],
    ['another object', '{"subscribe": 3}', { field: 'subscribe', found: '3', expected: 'a text' }],
    ['no channel', '{"subscribe": "training/1"}', { field: 'subscribe', found: '"training/1"' }],
    ['an unknown field', '{"unsubscribe": "jobs/all", "x": 1}', { field: 'x' }],
    ['a negative number', '{"subscribe": "jobs/all", "after": -1}', { field: 'after', found: '-1' }],
    ['an unknown entity', JSON.stringify({ subscribe: unknown }), { title: 'there is no such training' }],
    [
      'one with `after`',
      JSON.stringify({ subscribe: unknown, after: 3 }),
      { title: 'there is no such training' },
    ],
  ])('%s is answered with an error, and the socket lives', async (_, text, error) => {
    const listener = await connect()
    listener.socket.send(text)
    expect(await listener.next()).toEqual({ error: expect.objectContaining(error) })
    listener.send({ subscribe: channel, after: 0 })
    expect(await listener.next()).toMatchObject({ seq: 1 })
  })

  test('a client that does not read is closed with 1013, and others do not notice', async () => {
    const slow = await connect()
    const closed = new Promise<number>(resolve => slow.socket.on('close', resolve))
    slow.send({ subscribe: channel })
    await slow.next()
    const other = await connect()
    other.send({ subscribe: channel })
    await other.next()
    slow.socket.pause()
    // Some 40 MB for each: more than the system's own buffers and ours.
    const error_message = 'x'.repeat(100_000)
    const large = { ...status(), data: { ...status().data, error_message } }
    for (let i = 0; i < 40; i++) {
      await server.services.log.write(async () => Array.from({ length: 10 }, () => large))
    }
    await eventually(() => other.messages.length).toBe(401)
    slow.socket.resume()
    expect(await closed).toBe(1013)
    const seen = seqs(slow.messages)
    expect(seen.length).toBeLessThan(401)
    expect(seen).toEqual(Array.from(seen, (_, i) => i + 1))
    // It comes back and goes on.
    const back = await connect()
    back.send({ subscribe: channel, after: seen.at(-1) })
    expect(await back.next()).toMatchObject({ seq: seen.length + 1 })
  })

  test('a client with more than 1,000 requests in wait is closed with 1008; 1,000 are answered', async () => {
    // In one piece, so that the server has read all before it answers the first.
    const sendAtOnce = ({ socket }: Listener, count: number, text: string) => {
      const { _socket: stream } = socket as unknown as { _socket: { cork(): void; uncork(): void } }
      stream.cork()
      for (let i = 0; i < count; i++) socket.send(text)
      stream.uncork()
    }
    const refused = JSON.stringify({ subscribe: 3 })
    const patient = await connect()
    // What was answered waits no longer.
    for (const answered of [1000, 2000]) {
      sendAtOnce(patient, 1000, refused)
      await eventually(() => patient.messages.length).toBe(answered)
    }
    expect(patient.socket.readyState).toBe(WebSocket.OPEN)
    const flood = await connect()
    const closed = new Promise<[number, string]>(resolve =>
      flood.socket.on('close', (code, reason) => resolve([code, reason.toString()])),
    )
    sendAtOnce(flood, 1001, refused)
    expect(await closed).toEqual([1008, 'too many requests at once'])
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  test('too long a message ends the socket, not the server', async () => {
    const listener = await connect()
    const closed = new Promise<number>(resolve => listener.socket.on('close', resolve))
    listener.socket.send('x'.repeat(10_000))
    expect(await closed).toBe(1009)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })

  describe('server-sent events', () => {
    async function read(query: string, count: number, headers: Record<string, string> = {}) {
      const stop = new AbortController()
      const response = await fetch(`${server.url}/api/v1/events?${query}`, { headers, signal: stop.signal })
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      let text = ''
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        if (text.split('\n\n').length > count) break
      }
      stop.abort()
      return text
        .split('\n\n')
        .slice(0, count)
        .map(part => {
          const [id, data] = part.split('\n')
          return { id: Number(id.slice('id: '.length)), data: JSON.parse(data.slice('data: '.length)) }
        })
    }

    test('are the same objects, from `after` on or from where the client says it was', async () => {
      await write(3)
      const list = await server.services.log.list({ channel, after: 0, limit: 10 })
      const whole = await read(`channel=${channel}`, 4)
      expect(whole).toEqual(list.map(data => ({ id: data.seq, data })))
      expect((await read(`channel=${channel}&after=2`, 2)).map(({ id }) => id)).toEqual([3, 4])
      const back = await read(`channel=${channel}&after=0`, 1, { 'last-event-id': '3' })
      expect(back.map(({ id }) => id)).toEqual([4])
    })

    test('go on with what is new', async () => {
      const reading = read(`channel=${channel}&after=1`, 1)
      await write(1)
      expect((await reading)[0].data).toMatchObject({ seq: 2, channel, event: 'training:status' })
    })

    test('of what is not there are a problem', async () => {
      const get = async (query: string) => {
        const response = await fetch(`${server.url}/api/v1/events?${query}`)
        return { status: response.status, problem: (await response.json()) as object }
      }
      expect(await get(`channel=${unknown}`)).toMatchObject({ status: 404 })
      expect(await get('channel=x')).toMatchObject({ status: 400, problem: { field: 'channel' } })
      expect(await get(`channel=${channel}&from=3`)).toMatchObject({
        status: 400,
        problem: { field: 'from' },
      })
    })
  })

  test('a client that answers no ping is cut off, one that does stays', async () => {
    const own = await startTestServer(target, { pingMilliseconds: 50 })
    const address = `${own.url.replace('http', 'ws')}/api/v1/events`
    const [dead, alive] = [false, true].map(autoPong => new WebSocket(address, { autoPong }))
    sockets.push(dead, alive)
    const pings = new Promise<void>(resolve => {
      let count = 0
      alive.on('ping', () => ++count === 5 && resolve())
    })
    expect(await new Promise(resolve => dead.on('close', resolve))).toBe(1006)
    await pings
    expect(alive.readyState).toBe(WebSocket.OPEN)
    await own.close()
  })

  test('a closing server ends sockets and streams, and says so', async () => {
    const own = await startTestServer(target)
    const socket = new WebSocket(`${own.url.replace('http', 'ws')}/api/v1/events`)
    sockets.push(socket)
    await new Promise(resolve => socket.on('open', resolve))
    const stream = await fetch(`${own.url}/api/v1/events?channel=jobs/all`)
    const closed = new Promise<number>(resolve => socket.on('close', resolve))
    await own.close()
    expect(await closed).toBe(1001)
    expect(await stream.text()).toBe('')
    await expect(own.client.listModels()).rejects.toThrow()
    expect(own.faults).toEqual([])
  })
})

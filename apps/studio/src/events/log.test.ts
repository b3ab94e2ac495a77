import type { Snapshot, StudioEvent } from '@mistudio/contract'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databaseTargets } from '../../testing/db/databases.ts'
import { type OpenDatabase, openDatabase } from '../db/connect.ts'
import { meta } from '../db/schema.ts'
import { newId } from '../ids.ts'
import { createEventLog, type EventLog, type NewEvent } from './log.ts'

const newChannel = () => `tokenization/${newId('tokenization')}`
const progress = (channel: string, progress: number): NewEvent => ({
  channel,
  event: 'tokenization:progress',
  data: {
    tokenization_id: channel.slice('tokenization/'.length),
    status: 'tokenizing',
    progress,
    documents: 1,
    tokens: 2,
  },
})
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const numbers = (messages: { seq: number }[]) => messages.map(({ seq }) => seq)

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 2))
}

describe.each(databaseTargets())('the event log on $kind', target => {
  let database: OpenDatabase
  let log: EventLog
  beforeAll(async () => {
    database = await openDatabase(await target.create())
    log = createEventLog(database)
  })
  afterAll(() => database.close())
  const listAll = (channel: string) => log.list({ channel, after: 0, limit: 1000 })

  it('numbers events by channel, gives back what list and subscribers give', async () => {
    const [a, b] = [newChannel(), newChannel()]
    const heard: (StudioEvent | Snapshot)[] = []
    await log.subscribe({ channel: a, onMessage: message => heard.push(message) })
    const first = await log.write(async () => [progress(a, 0.1), progress(b, 0.2), progress(a, 0.3)])
    const second = await log.write(async () => [progress(a, 0.4)])
    expect(first.map(({ channel, seq }) => [channel, seq])).toEqual([
      [a, 1],
      [b, 1],
      [a, 2],
    ])
    expect(numbers(second)).toEqual([3])
    const written = [first[0], first[2], second[0]]
    expect(await listAll(a)).toEqual(written)
    expect(heard).toEqual(written)
    expect(Math.abs(Date.parse(first[0].at) - Date.now())).toBeLessThan(3_600_000)
    expect(first[0].at).toMatch(/^\d{4}-.*Z$/)
    expect(await log.list({ channel: a, after: 1, limit: 1 })).toEqual([first[2]])
  })

  it('writes rows and events together or not at all, and leaves no gap', async () => {
    const channel = newChannel()
    const key = `rows of ${channel}`
    const rows = async () => (await database.db.select().from(meta).where(eq(meta.key, key))).length
    const failing = log.write(async tx => {
      await tx.insert(meta).values({ key, value: '1' })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    const wrong = log.write(async tx => {
      await tx.insert(meta).values({ key, value: '1' })
      return [progress(channel, 0.5), progress(channel, 2)]
    })
    await expect(wrong).rejects.toThrow(/^not a valid tokenization:progress event: progress: /)
    const extra = progress(channel, 0.5)
    Object.assign(extra.data, { secret: 1 })
    await expect(log.write(async () => [extra])).rejects.toThrow('secret')
    await expect(log.write(async () => [progress('tokenization/x', 0.5)])).rejects.toThrow('no channel')
    expect(await rows()).toBe(0)
    expect(await log.write(async () => [])).toEqual([])
    const [event] = await log.write(async tx => {
      await tx.insert(meta).values({ key, value: '1' })
      return [progress(channel, 0.5)]
    })
    expect([event.seq, await rows()]).toEqual([1, 1])
  })

  it('has no gap and no other order with many writers, and each subscriber hears each event once', async () => {
    const channels = [newChannel(), newChannel()]
    const [writers, each] = [8, 25]
    const total = writers * each
    const heard = new Map<string, (StudioEvent | Snapshot)[]>()
    let written = 0
    const joins: Promise<unknown>[] = []
    const join = (name: string, after?: number) => {
      const messages: (StudioEvent | Snapshot)[] = []
      heard.set(name, messages)
      joins.push(log.subscribe({ channel: channels[0], after, onMessage: message => messages.push(message) }))
    }
    join('at the start')
    const writer = async (index: number) => {
      for (let i = 0; i < each; i++) {
        // Channels in another order each time: transactions that waited for each other would fail here.
        const order = (index + i) % 2 === 0 ? channels : channels.toReversed()
        await log.write(async tx => {
          if (i % 3 === 0) await tx.execute(sql`select pg_sleep(0.001)`)
          return order.map(channel => progress(channel, 0.5))
        })
        written += 1
        if (written === 60) join('in the middle')
        if (written === 100) join('in the middle, after 40', 40)
      }
    }
    await Promise.all(Array.from({ length: writers }, (_, index) => writer(index)))
    await Promise.all(joins)
    for (const channel of channels) expect(numbers(await listAll(channel))).toEqual(upTo(total))
    await until(() => [...heard.values()].every(messages => messages.at(-1)?.seq === total))
    expect(heard.size).toBe(3)
    for (const [name, messages] of heard) {
      expect(numbers(messages), name).toEqual(upTo(total).slice(name.endsWith('40') ? 40 : 0))
    }
  })

  it('gives a snapshot whose number says which events it holds', async () => {
    const channel = newChannel()
    const key = `counted in ${channel}`
    await database.db.insert(meta).values({ key, value: '0' })
    let writing = true
    const writer = async () => {
      while (writing) {
        await log.write(async tx => {
          await tx.update(meta).set({ value: sql`(value::int + 1)::text` }).where(eq(meta.key, key))
          return [progress(channel, 0.5)]
        })
      }
    }
    const writers = [writer(), writer()]
    for (let i = 0; i < 10; i++) {
      const messages: (StudioEvent | Snapshot)[] = []
      const end = await log.subscribe({
        channel,
        async snapshot(tx) {
          const [row] = await tx.select().from(meta).where(eq(meta.key, key))
          return Number(row.value)
        },
        onMessage: message => messages.push(message),
      })
      await until(() => messages.length >= 4)
      end()
      const length = messages.length
      const [{ seq, event, data }, ...rest] = messages as [Snapshot, ...StudioEvent[]]
      expect([event, data]).toEqual(['snapshot', seq])
      expect(numbers(rest)).toEqual(rest.map((_, i) => seq + 1 + i))
      await new Promise(resolve => setTimeout(resolve, 5))
      expect(messages).toHaveLength(length)
    }
    writing = false
    await Promise.all(writers)
  })

  it('sends a snapshot only to one that knows nothing, or that knows another database', async () => {
    const channel = newChannel()
    await log.write(async () => [progress(channel, 0.1), progress(channel, 0.2)])
    const seen = async (after?: number) => {
      const events: string[] = []
      const end = await log.subscribe({
        channel,
        after,
        snapshot: async () => 'all',
        onMessage: ({ event, seq }) => events.push(`${event} ${seq}`),
      })
      await new Promise(resolve => setTimeout(resolve, 20))
      end()
      return events
    }
    expect(await seen()).toEqual(['snapshot 2'])
    expect(await seen(1)).toEqual(['tokenization:progress 2'])
    expect(await seen(2)).toEqual([])
    expect(await seen(500)).toEqual(['snapshot 2'])
  })

  it('ends one subscriber that fails and goes on with the others; ends all when it closes', async () => {
    const channel = newChannel()
    const own = createEventLog(database)
    const [heard, errors]: [number[], unknown[]] = [[], []]
    const fault = new Error('gone')
    await own.subscribe({
      channel,
      onMessage() {
        throw fault
      },
      onError: error => errors.push(error),
    })
    await own.subscribe({ channel, onMessage: ({ seq }) => heard.push(seq) })
    await own.write(async () => [progress(channel, 0.1)])
    await own.write(async () => [progress(channel, 0.2)])
    expect([heard, errors]).toEqual([[1, 2], [fault]])
    const refused = own.subscribe({
      channel,
      snapshot: async () => {
        throw new Error('no such entity')
      },
      onMessage: ({ seq }) => heard.push(seq),
    })
    await expect(refused).rejects.toThrow('no such entity')
    own.close()
    await own.write(async () => [progress(channel, 0.3)])
    expect(heard).toEqual([1, 2])
    expect(numbers(await listAll(channel))).toEqual([1, 2, 3])
  })
})

// The log of events, and the only writer of what others must hear of: rows and the events that tell of them are one
// transaction. A serial number would not be in commit order, so each channel counts for itself under its row's lock.
import {
  channel as channelName,
  type EventData,
  type EventName,
  eventData,
  type Snapshot,
  type StudioEvent,
} from '@mistudio/contract'
import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { ZodType } from 'zod'
import { insertChunked } from '../db/chunked.ts'
import type { Database, Executor, Transaction } from '../db/connect.ts'
import { channels, events } from '../db/schema.ts'
import { createSubscription, type Subscription } from './subscription.ts'

export type NewEvent = { [N in EventName]: { channel: string; event: N; data: EventData<N> } }[EventName]

export type EventLog = {
  /**
   * One transaction: `work`, then the events it returns, each with its channel's next number; published to
   * subscribers after the commit, in order.
   * @throws Error when an event is not as the contract has it; then nothing is written
   */
  write(work: (tx: Transaction) => Promise<NewEvent[]>): Promise<StudioEvent[]>
  list(options: { channel: string; after: number; limit: number }): Promise<StudioEvent[]>
  /**
   * Events after `after` (default 0), then everything new, each exactly once and in order. Without `after`, or with
   * one that the channel has not reached (the database is another one), a `snapshot` comes first if there is one:
   * its data and number are read in one transaction.
   * @param options.onError the subscription has ended: reading failed or `onMessage` threw
   * @returns ends it
   */
  subscribe(options: {
    channel: string
    after?: number
    snapshot?: (tx: Transaction) => Promise<unknown>
    onMessage: (message: StudioEvent | Snapshot) => void
    onError?: (error: unknown) => void
  }): Promise<() => void>
  /** Ends all subscriptions. */
  close(): void
}

export function createEventLog(options: { db: Database }): EventLog {
  const { db } = options
  const subscriptions = new Map<string, Set<Subscription>>()

  function add(channel: string, subscription: Subscription): () => void {
    const set = subscriptions.get(channel) ?? new Set()
    subscriptions.set(channel, set.add(subscription))
    return () => {
      subscription.end()
      set.delete(subscription)
      if (set.size === 0 && subscriptions.get(channel) === set) subscriptions.delete(channel)
    }
  }

  const list: EventLog['list'] = ({ channel, after, limit }) => read(db, channel, after, limit)

  return {
    async write(work) {
      const written = await db.transaction(async tx => insert(tx, (await work(tx)).map(checked)))
      for (const event of written) {
        for (const subscription of subscriptions.get(event.channel) ?? []) subscription.offer(event)
      }
      return written
    },
    list,
    async subscribe({ channel, after, snapshot, onMessage, onError = warn }) {
      const subscription = createSubscription({
        read: after => list({ channel, after, limit: pageRows }),
        onMessage,
        onError: error => {
          remove()
          onError(error)
        },
      })
      // Before the first look at the database: nothing that is written from now on is missed.
      const remove = add(channel, subscription)
      try {
        const start = await db.transaction(
          async tx => {
            const seq = await lastOf(tx, channel)
            const known = after !== undefined && after <= seq
            if (known || snapshot === undefined) return { seq, from: known ? after : 0 }
            return { seq, from: seq, data: { value: await snapshot(tx) } }
          },
          { isolationLevel: 'repeatable read', accessMode: 'read only' },
        )
        const { seq, from, data } = start
        const first: Snapshot | undefined = data && {
          seq,
          channel,
          event: 'snapshot',
          data: data.value,
          at: new Date().toISOString(),
        }
        subscription.start({ first, from, seq })
      } catch (error) {
        remove()
        throw error
      }
      return remove
    },
    close() {
      for (const set of subscriptions.values()) for (const subscription of set) subscription.end()
      subscriptions.clear()
    },
  }
}

/** Events read at once by one that catches up. */
const pageRows = 500

const warn = (error: unknown) =>
  process.emitWarning(error instanceof Error ? error : String(error), 'EventSubscription')

function checked(given: NewEvent): NewEvent {
  const schema: ZodType = eventData[given.event]
  const data = schema.safeParse(given.data)
  if (!channelName.safeParse(given.channel).success) throw new Error(`there is no channel ${given.channel}`)
  if (data.success) return { ...given, data: data.data } as NewEvent
  const faults = data.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new Error(`not a valid ${given.event} event: ${faults.join('; ')}`)
}

async function insert(tx: Transaction, given: NewEvent[]): Promise<StudioEvent[]> {
  if (given.length === 0) return []
  const next = await takeNumbers(tx, given)
  const at = new Date()
  const rows = given.map(({ channel, event, data }) => {
    const seq = next.get(channel)!
    next.set(channel, seq + 1)
    return { channel, seq, event, data, at }
  })
  await insertChunked({ tx, table: events, rows })
  return rows.map(eventOf)
}

/** Takes as many numbers as there are events. @returns the first of each channel */
async function takeNumbers(tx: Transaction, given: NewEvent[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const { channel } of given) counts.set(channel, (counts.get(channel) ?? 0) + 1)
  // In order of names, so that two transactions cannot wait for each other.
  const wanted = [...counts].map(([channel, seq]) => ({ channel, seq })).sort(byChannel)
  const taken = await tx
    .insert(channels)
    .values(wanted)
    .onConflictDoUpdate({ target: channels.channel, set: { seq: sql`${channels.seq} + excluded.seq` } })
    .returning()
  return new Map(taken.map(({ channel, seq }) => [channel, seq - counts.get(channel)! + 1]))
}

const byChannel = (a: { channel: string }, b: { channel: string }) =>
  a.channel < b.channel ? -1 : a.channel > b.channel ? 1 : 0

async function lastOf(tx: Transaction, channel: string): Promise<number> {
  const [row] = await tx.select().from(channels).where(eq(channels.channel, channel))
  return row?.seq ?? 0
}

async function read(db: Executor, channel: string, after: number, limit: number): Promise<StudioEvent[]> {
  const rows = await db
    .select()
    .from(events)
    .where(and(eq(events.channel, channel), gt(events.seq, after)))
    .orderBy(asc(events.seq))
    .limit(limit)
  return rows.map(eventOf)
}

/** Checked when it was written. */
const eventOf = ({ seq, channel, event, data, at }: typeof events.$inferSelect): StudioEvent =>
  ({ seq, channel, event, data, at: at.toISOString() }) as unknown as StudioEvent

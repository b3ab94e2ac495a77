import type { Snapshot, StudioEvent } from '@mistudio/contract'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSubscription } from './subscription.ts'

const channel = 'jobs/all'
const eventOf = (seq: number) =>
  ({ seq, channel, event: 'job:status', data: {}, at: '' }) as unknown as StudioEvent
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

/** A log in memory whose reads end when the test lets them. */
function fixture(options: { pageRows?: number; onMessage?: (seq: number) => void } = {}) {
  const { pageRows = 3, onMessage } = options
  const log = { written: 0, reads: 0 }
  const heard: (number | string)[] = []
  const errors: unknown[] = []
  const subscription = createSubscription({
    async read(after) {
      log.reads += 1
      const page = upTo(log.written).slice(after, after + pageRows)
      await new Promise(setImmediate)
      return page.map(eventOf)
    },
    onMessage(message) {
      heard.push(message.event === 'snapshot' ? 'snapshot' : message.seq)
      onMessage?.(message.seq)
    },
    onError: error => errors.push(error),
  })
  return { log, heard, errors, subscription }
}

const settled = async () => {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate)
}

describe('a subscription', () => {
  it('gives each event once and in order, whatever order they are offered in and whenever it starts', async () => {
    const plan = fc.record({
      events: fc.integer({ min: 1, max: 30 }),
      startAt: fc.nat(30),
      from: fc.nat(5),
      shuffle: fc.array(fc.nat(3), { minLength: 30, maxLength: 30 }),
      pause: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
    })
    await fc.assert(
      fc.asyncProperty(plan, async ({ events, startAt, from, shuffle, pause }) => {
        const { log, heard, errors, subscription } = fixture()
        const late: number[] = []
        const start = () => subscription.start({ from: Math.min(from, log.written), seq: log.written })
        const begun = Math.min(startAt, events - 1)
        let first = 0
        for (let i = 0; i < events; i++) {
          if (i === begun) {
            first = Math.min(from, log.written)
            start()
          }
          // Written, and told of now or later, perhaps after others.
          late.splice(Math.min(shuffle[i], late.length), 0, ++log.written)
          if (pause[i]) await new Promise(setImmediate)
          while (late.length > shuffle[i]) subscription.offer(eventOf(late.shift()!))
        }
        for (const seq of late) subscription.offer(eventOf(seq))
        await settled()
        expect(errors).toEqual([])
        expect(heard).toEqual(upTo(events).slice(first))
      }),
      { numRuns: 200 },
    )
  })

  it('sends the snapshot first, then what lies after its number', async () => {
    const { log, heard, subscription } = fixture()
    log.written = 10
    const first: Snapshot = { seq: 8, channel, event: 'snapshot', data: {}, at: '' }
    subscription.start({ first, from: 8, seq: 8 })
    expect(heard).toEqual(['snapshot'])
    subscription.offer(eventOf(10))
    await settled()
    expect(heard).toEqual(['snapshot', 9, 10])
  })

  it('reads nothing while events come in order', async () => {
    const { log, heard, subscription } = fixture()
    subscription.start({ from: 0, seq: 0 })
    for (const seq of upTo(20)) {
      log.written = seq
      subscription.offer(eventOf(seq))
    }
    await settled()
    expect([heard.length, log.reads]).toEqual([20, 0])
  })

  it('hears nothing once it has ended, in the middle of a page or before it began', async () => {
    const stopped = fixture({ onMessage: seq => seq === 2 && stopped.subscription.end() })
    stopped.log.written = 9
    stopped.subscription.start({ from: 0, seq: 9 })
    await settled()
    stopped.subscription.offer(eventOf(10))
    expect(stopped.heard).toEqual([1, 2])

    const never = fixture()
    never.subscription.end()
    never.subscription.start({ from: 0, seq: 9 })
    never.subscription.offer(eventOf(1))
    await settled()
    expect(never.heard).toEqual([])
  })

  it('ends with the error of one who hears, and tells of it once', async () => {
    const fault = new Error('the socket is gone')
    const { log, heard, errors, subscription } = fixture({
      onMessage(seq) {
        if (seq === 4) throw fault
      },
    })
    log.written = 9
    subscription.start({ from: 0, seq: 9 })
    await settled()
    subscription.offer(eventOf(10))
    expect([heard, errors]).toEqual([[1, 2, 3, 4], [fault]])
  })
})

// One who listens to a channel: each event once, in order, without a gap. An event that is offered is a hint that
// there is one; what it does not join on to is read from the database. Numbers of a channel have no gaps and are given
// in commit order, so whatever lies before a number that was seen is there to be read.
import type { Snapshot, StudioEvent } from '@mistudio/contract'

export type Subscription = {
  /** A new event of the channel, in any order. */
  offer(event: StudioEvent): void
  /**
   * Until then, offers are only remembered.
   * @param options.first sent before anything else
   * @param options.from events after this number are sent
   * @param options.seq the channel's last number when it was looked up
   */
  start(options: { first?: Snapshot; from: number; seq: number }): void
  end(): void
}

export function createSubscription(options: {
  /** A page of events after a number, in order. */
  read(after: number): Promise<StudioEvent[]>
  onMessage(message: StudioEvent | Snapshot): void
  onError(error: unknown): void
}): Subscription {
  const { read, onMessage, onError } = options
  let state: 'waiting' | 'reading' | 'live' | 'ended' = 'waiting'
  /** The number that was sent last. */
  let last = 0
  /** The largest number that is known to be there. */
  let head = 0

  function guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      fail(error)
    }
  }

  function fail(error: unknown): void {
    if (state === 'ended') return
    state = 'ended'
    onError(error)
  }

  function send(event: StudioEvent): void {
    if (state === 'ended' || event.seq <= last) return
    last = event.seq
    guarded(() => onMessage(event))
  }

  async function catchUp(): Promise<void> {
    state = 'reading'
    while (last < head) {
      const goal = head
      const page = await read(last)
      for (const event of page) send(event)
      if (ended()) return
      // Deleted since.
      if (page.length === 0) last = goal
    }
    state = 'live'
  }

  /** The compiler does not see that `state` changes in callbacks. */
  const ended = () => (state as string) === 'ended'

  return {
    offer(event) {
      head = Math.max(head, event.seq)
      if (state !== 'live') return
      if (event.seq === last + 1) send(event)
      else if (event.seq > last) catchUp().catch(fail)
    },
    start({ first, from, seq }) {
      if (state !== 'waiting') return
      last = from
      head = Math.max(head, seq)
      if (first !== undefined) guarded(() => onMessage(first))
      if (!ended()) catchUp().catch(fail)
    },
    end() {
      state = 'ended'
    },
  }
}

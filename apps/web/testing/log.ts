// The event log of the test server: numbered per channel, kept from the first event on.
import type { EventData, EventName, StudioEvent } from '@mistudio/contract'

export type Log = {
  add<N extends EventName>(channel: string, event: N, data: EventData<N>, at?: number): void
  after(channel: string, seq: number): StudioEvent[]
  seq(channel: string): number
  onEvent(listener: (event: StudioEvent) => void): void
}

export function createLog(): Log {
  const events = new Map<string, StudioEvent[]>()
  const listeners: ((event: StudioEvent) => void)[] = []
  const of = (channel: string) => events.get(channel) ?? []
  return {
    add(channel, event, data, at = Date.now()) {
      const seq = of(channel).length + 1
      const full = { seq, channel, event, data, at: new Date(at).toISOString() } as unknown as StudioEvent
      events.set(channel, [...of(channel), full])
      for (const listener of listeners) listener(full)
    },
    after: (channel, seq) => of(channel).filter(event => event.seq > seq),
    seq: channel => of(channel).length,
    onEvent: listener => listeners.push(listener),
  }
}

// The answer to a request may be older than an event that arrived while the request was running. So the newest events of
// each channel are remembered for a while, and those that arrived during a request are merged into its answer.
import type { StudioEvent } from '@mistudio/contract'
import { mergeEvents } from './merge.ts'

const kept = 100
const recent = new Map<string, StudioEvent[]>()

export function remember(events: readonly StudioEvent[]): void {
  for (const event of events) {
    const known = recent.get(event.channel) ?? []
    if (event.seq <= (known.at(-1)?.seq ?? -1)) continue
    known.push(event)
    if (known.length > kept) known.shift()
    recent.set(event.channel, known)
  }
}

export async function readAlong<T extends object>(channel: string, read: () => Promise<T>): Promise<T> {
  const before = recent.get(channel)?.at(-1)?.seq ?? -1
  const entity = await read()
  return mergeEvents(
    entity,
    (recent.get(channel) ?? []).filter(({ seq }) => seq > before),
  )
}

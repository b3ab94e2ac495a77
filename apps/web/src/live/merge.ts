// Merges an event into what is known of an entity: only fields that the event defines, and only those the entity has.
// So an event that lacks a field never erases a known one, and no foreign field gets in.
import { type EventName, eventData, type StudioEvent } from '@mistudio/contract'

const definedFields = Object.fromEntries(
  Object.entries(eventData).map(([event, schema]) => [event, Object.keys(schema.shape)]),
) as Record<EventName, string[]>

/** @returns the entity itself if nothing changed, so that nothing is rendered again */
export function mergeEvent<T extends object>(entity: T, event: StudioEvent): T {
  const data = event.data as Record<string, unknown>
  const changes: Record<string, unknown> = {}
  for (const field of definedFields[event.event] ?? []) {
    const value = data[field]
    if (value === undefined) continue
    const target = targetOf(field, event)
    if (target in entity && !same((entity as Record<string, unknown>)[target], value)) changes[target] = value
  }
  return Object.keys(changes).length === 0 ? entity : { ...entity, ...changes }
}

export const mergeEvents = <T extends object>(entity: T, events: readonly StudioEvent[]): T =>
  events.reduce(mergeEvent, entity)

/** `error_message` is the one field with two meanings: the extraction failed, or its analysis did. */
function targetOf(field: string, event: StudioEvent): string {
  const ofAnalysis = event.event === 'extraction:status' && event.data.status === 'completed'
  return field === 'error_message' && ofAnalysis ? 'nlp_error_message' : field
}

const same = (a: unknown, b: unknown) => a === b || JSON.stringify(a) === JSON.stringify(b)

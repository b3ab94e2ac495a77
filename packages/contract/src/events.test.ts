// Channels and events: the shapes that server and clients agree on.
import { expect, test } from 'vitest'
import { idPrefixes } from './base.ts'
import {
  channel,
  channelOf,
  type EventName,
  eventData,
  eventNames,
  eventsQuery,
  socketRequest,
  studioEvent,
} from './events.ts'

const tail = '0123456789abcdefghij'
const at = '2026-01-31T12:00:00.000Z'
const extractionId = `extr_${tail}`

/** A progress event of an extraction, as in §B of the increment. */
const progress = {
  extraction_id: extractionId,
  status: 'extracting',
  nlp_status: 'pending',
  stage: 'EXTRACTING',
  phase: 'extracting',
  progress: 0.5,
  current_batch: 3,
  total_batches: 6,
  samples_processed: 24,
  total_samples: 48,
  samples_per_second: 12.5,
  mean_samples_per_second: 11.25,
  eta_seconds: 2,
  features_in_heap: 7,
  heap_examples_count: 31,
}
const accepts = (name: EventName, data: object) => eventData[name].safeParse(data).success

test('every event is named entity:verb and has a status', () => {
  for (const name of eventNames) {
    expect(name).toMatch(/^(training|extraction|tokenization|entity|job):[a-z_]+$/)
    const { shape } = eventData[name]
    expect(Object.keys(shape), name).toContain('status')
    const { status } = shape
    expect(status.safeParse(undefined).success, name).toBe(false)
  }
})

test('a channel is entity/id, and there is one of all jobs', () => {
  const entities = ['training', 'extraction', 'tokenization'] as const
  for (const entity of entities) {
    const name = channelOf[entity](`${idPrefixes[entity]}_${tail}`)
    expect(name).toBe(`${entity}/${idPrefixes[entity]}_${tail}`)
    expect(channel.parse(name)).toBe(name)
    for (const other of entities) {
      const matches = channel.safeParse(channelOf[entity](`${idPrefixes[other]}_${tail}`)).success
      expect(matches).toBe(other === entity)
    }
  }
  expect(channel.parse(channelOf.jobs)).toBe('jobs/all')
  for (const wrong of ['jobs/', `extraction/${tail}`, `sae/sae_${tail}`, `extraction/extr_${tail}/x`, '']) {
    expect(channel.safeParse(wrong).success, wrong).toBe(false)
  }
})

test('the progress of an extraction has every field of the increment, of its type and no other', () => {
  expect(accepts('extraction:progress', progress)).toBe(true)
  expect(accepts('extraction:completed', { ...progress, status: 'completed', progress: 1 })).toBe(true)
  for (const field of Object.keys(progress)) {
    const { [field as keyof typeof progress]: _, ...rest } = progress
    expect(accepts('extraction:progress', rest), `without ${field}`).toBe(false)
    expect(accepts('extraction:progress', { ...progress, [field]: 'x' }), `${field} as text`).toBe(false)
  }
  const whole = [
    'current_batch',
    'total_batches',
    'samples_processed',
    'total_samples',
    'eta_seconds',
    'features_in_heap',
    'heap_examples_count',
  ]
  for (const field of whole) {
    expect(accepts('extraction:progress', { ...progress, [field]: 1.5 }), `half of ${field}`).toBe(false)
    expect(accepts('extraction:progress', { ...progress, [field]: -1 }), `${field} below 0`).toBe(false)
    expect(accepts('extraction:progress', { ...progress, [field]: null })).toBe(field === 'eta_seconds')
  }
  for (const beyond of [-0.1, 1.1]) {
    expect(accepts('extraction:progress', { ...progress, progress: beyond })).toBe(false)
  }
  expect(accepts('extraction:progress', { ...progress, secret: 1 })).toBe(false)
})

test('a failure says why; figures come with it or not', () => {
  const failed = { extraction_id: extractionId, status: 'failed', error_message: 'no memory' }
  expect(accepts('extraction:failed', failed)).toBe(true)
  expect(accepts('extraction:failed', { ...progress, ...failed })).toBe(true)
  expect(accepts('extraction:failed', { extraction_id: extractionId, status: 'failed' })).toBe(false)
  expect(accepts('extraction:failed', { extraction_id: extractionId, error_message: 'x' })).toBe(false)
})

test('an event belongs to its data, and has channel, number and time', () => {
  const event = {
    seq: 42,
    channel: `extraction/${extractionId}`,
    event: 'extraction:progress',
    data: progress,
    at,
  }
  expect(studioEvent.parse(event)).toEqual(event)
  const wrong = [
    { event: 'extraction:unheard_of' },
    { event: 'training:progress' },
    { channel: 'extraction/none' },
    { seq: -1 },
    { at: 'yesterday' },
    { data: {} },
  ]
  for (const change of wrong) {
    expect(studioEvent.safeParse({ ...event, ...change }).success, JSON.stringify(change)).toBe(false)
  }
})

test('a client subscribes from a number on or from a snapshot, and unsubscribes', () => {
  for (const request of [
    { subscribe: 'jobs/all' },
    { subscribe: 'jobs/all', after: 41 },
    { unsubscribe: 'jobs/all' },
  ]) {
    expect(socketRequest.parse(request)).toEqual(request)
  }
  for (const wrong of [
    {},
    { subscribe: 'jobs' },
    { subscribe: 'jobs/all', after: -1 },
    { subscribe: 'jobs/all', after: '41' },
    { subscribe: 'jobs/all', unsubscribe: 'jobs/all' },
    { unsubscribe: 'jobs/all', after: 3 },
  ]) {
    expect(socketRequest.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false)
  }
  expect(eventsQuery.parse({ channel: 'jobs/all', after: '41' })).toEqual({ channel: 'jobs/all', after: 41 })
})

import type { StudioEvent } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { mergeEvent, mergeEvents } from './merge.ts'

const extraction = {
  id: 'extr_00000000000000000001',
  status: 'extracting',
  stage: 'EXTRACTING',
  nlp_status: 'pending',
  progress: 0.4,
  samples_processed: 40,
  heap_examples_count: 900,
  eta_seconds: 12,
  error_message: null as string | null,
  nlp_error_message: null as string | null,
}
const event = (name: string, data: object) =>
  ({ seq: 1, channel: `extraction/${extraction.id}`, event: name, data, at: '' }) as unknown as StudioEvent

test('a field that an event lacks stays as it is known', () => {
  const merged = mergeEvent(extraction, event('extraction:progress', { status: 'extracting', progress: 0.5 }))
  expect(merged).toEqual({ ...extraction, progress: 0.5 })
})

test('a field that the event does not define is not taken, nor one that the entity has not', () => {
  const data = { status: 'extracting', id: 'other', samples_processed: 50, phase: 'writing' }
  expect(mergeEvent(extraction, event('extraction:progress', data))).toEqual({
    ...extraction,
    samples_processed: 50,
  })
  expect(mergeEvent(extraction, event('extraction:nlp_progress', { progress: 0.1 }))).toBe(extraction)
  expect(mergeEvent(extraction, event('extraction:unheard_of', { progress: 0.1 }))).toBe(extraction)
})

test('null is a value: not known any more', () => {
  expect(mergeEvent(extraction, event('extraction:progress', { eta_seconds: null })).eta_seconds).toBe(null)
})

test('an error of the analysis is not mistaken for one of the extraction', () => {
  const data = { status: 'completed', nlp_status: 'failed', stage: 'COMPLETED', error_message: 'no words' }
  const merged = mergeEvent(extraction, event('extraction:status', data))
  expect(merged.error_message).toBe(null)
  expect(merged.nlp_error_message).toBe('no words')
  const failed = event('extraction:failed', { status: 'failed', error_message: 'no memory' })
  expect(mergeEvent(extraction, failed).error_message).toBe('no memory')
})

test('a message of a status is about the analysis only where the extraction is complete', () => {
  const status = (status: string, error_message: string | null) =>
    event('extraction:status', { status, nlp_status: 'pending', stage: null, error_message })
  for (const other of ['failed', 'extracting', 'cancelled']) {
    const merged = mergeEvent(extraction, status(other, 'no memory'))
    expect(merged).toMatchObject({ error_message: 'no memory', nlp_error_message: null })
  }
  // The analysis goes on after a failure: its message goes, and one about the extraction would stay.
  const known = { ...extraction, error_message: 'kept', nlp_error_message: 'no words' }
  const mended = mergeEvent(known, status('completed', null))
  expect(mended).toMatchObject({ error_message: 'kept', nlp_error_message: null })
  // An entity of another kind that completes keeps its own field.
  const training = { status: 'training', error_message: 'old' as string | null, nlp_error_message: 'other' }
  const done = mergeEvent(training, event('training:status', { status: 'completed', error_message: null }))
  expect(done).toEqual({ status: 'completed', error_message: null, nlp_error_message: 'other' })
})

test('what is equal is no change, lists too', () => {
  const training = { status: 'training', saes: [{ name: 'a', step: 4 }], step: 4 }
  const again = event('training:progress', { saes: [{ name: 'a', step: 4 }], step: 4 })
  expect(mergeEvent(training, again)).toBe(training)
  const next = event('training:progress', { saes: [{ name: 'a', step: 5 }], step: 4 })
  expect(mergeEvent(training, next).saes).toEqual([{ name: 'a', step: 5 }])
})

test('events are merged in their order', () => {
  const events = [0.5, 0.7, 0.6].map(progress => event('extraction:progress', { progress }))
  expect(mergeEvents(extraction, events).progress).toBe(0.6)
})

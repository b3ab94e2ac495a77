import type { StudioEvent } from '@mistudio/contract'
import { QueryClient } from '@tanstack/react-query'
import { expect, test } from 'vitest'
import { applyEvents, applySnapshot, touchedBy } from './apply.ts'
import { readAlong } from './recent.ts'

const id = 'extr_00000000000000000001'
const channel = `extraction/${id}`
const event = (seq: number, name: string, data: object, on = channel) =>
  ({ seq, channel: on, event: name, data, at: '' }) as unknown as StudioEvent

function filled() {
  const cache = new QueryClient()
  const entity = { id, status: 'extracting', progress: 0.1, samples_processed: 1 }
  cache.setQueryData(['extractions', 'one', id], entity)
  const other = { ...entity, id: 'extr_00000000000000000002' }
  cache.setQueryData(['extractions', 'list'], { data: [other, entity], pagination: {} })
  const jobs = ['extract', 'nlp'].map(kind => ({ id: kind, kind, entity: channel, progress: 0 }))
  cache.setQueryData(['jobs', 'list'], { data: jobs })
  cache.setQueryData(['features', 'list', {}], { pages: [], pageParams: [] })
  return { cache, other }
}

test('an event reaches the entity, the lists it is in and its job', () => {
  const { cache, other } = filled()
  applyEvents({ cache, channel, events: [event(1, 'extraction:progress', { progress: 0.5 })] })
  const merged = { id, status: 'extracting', progress: 0.5, samples_processed: 1 }
  expect(cache.getQueryData(['extractions', 'one', id])).toEqual(merged)
  expect(cache.getQueryData(['extractions', 'list'])).toEqual({ data: [other, merged], pagination: {} })
  const jobs = () =>
    cache.getQueryData<{ data: { progress: number }[] }>(['jobs', 'list'])?.data.map(j => j.progress)
  expect(jobs()).toEqual([0.5, 0])
  applyEvents({ cache, channel, events: [event(2, 'extraction:nlp_progress', { nlp_progress: 0.25 })] })
  expect(jobs()).toEqual([0.5, 0.25])
})

test('a snapshot replaces an entity, and creates none that the cache does not hold', () => {
  const { cache } = filled()
  applySnapshot({ cache, channel, data: { id, status: 'completed', progress: 1, samples_processed: 9 } })
  expect(cache.getQueryData(['extractions', 'one', id])).toMatchObject({ status: 'completed' })
  const empty = new QueryClient()
  applySnapshot({ cache: empty, channel, data: { id, status: 'completed' } })
  applyEvents({ cache: empty, channel, events: [event(1, 'extraction:progress', { progress: 0.5 })] })
  expect(
    empty
      .getQueryCache()
      .getAll()
      .filter(({ state }) => state.data !== undefined),
  ).toEqual([])
})

test('a snapshot of nothing, and lists that are asked for or of another form, change nothing', async () => {
  const { cache, other } = filled()
  const list = () => cache.getQueryData(['extractions', 'list'])
  const [before, entity] = [list(), cache.getQueryData(['extractions', 'one', id])]
  for (const data of [null, 'gone', undefined]) applySnapshot({ cache, channel, data })
  expect(cache.getQueryData(['extractions', 'one', id])).toBe(entity)
  // One that has no answer yet, and one that is read page by page.
  const asking = cache.prefetchQuery({
    queryKey: ['extractions', 'list', 'asked'],
    queryFn: () => ({ data: [] }),
  })
  const pages = { pages: [{ data: [other] }], pageParams: [0] }
  cache.setQueryData(['extractions', 'list', 'pages'], pages)
  const on = `extraction/${other.id}`
  applyEvents({ cache, channel: on, events: [event(1, 'extraction:progress', { progress: 0.5 }, on)] })
  await asking
  expect(cache.getQueryData(['extractions', 'list', 'pages'])).toBe(pages)
  expect(list()).not.toBe(before)
  // A list without a change is the same list, so that nothing is drawn again.
  const after = list()
  applyEvents({ cache, channel: on, events: [event(2, 'extraction:progress', { progress: 0.5 }, on)] })
  expect(list()).toBe(after)
})

test('collections touched by an event of jobs/all', () => {
  const jobs = 'jobs/all'
  const move = { entity: channel, kind: 'nlp', status: 'completed' }
  expect(touchedBy([event(1, 'job:status', move, jobs)])).toEqual(
    new Set(['extractions', 'jobs', 'features']),
  )
  const made = { entity: 'sae/sae_00000000000000000001', status: 'created' }
  expect(touchedBy([event(2, 'entity:changed', made, jobs)])).toEqual(new Set(['saes', 'trainings']))
  expect(touchedBy([event(3, 'extraction:progress', {})])).toEqual(new Set())
})

test('an answer that is older than an event does not undo it', async () => {
  const { cache } = filled()
  const training = 'training/train_00000000000000000001'
  const say = (seq: number, step: number) =>
    applyEvents({ cache, channel: training, events: [event(seq, 'training:progress', { step }, training)] })
  say(1, 10)
  const answer = await readAlong(training, async () => {
    say(2, 40)
    return { step: 30 }
  })
  expect(answer).toEqual({ step: 40 })
  expect(await readAlong(training, async () => ({ step: 50 }))).toEqual({ step: 50 })
})

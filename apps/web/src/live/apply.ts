// Applies events to the query cache: figures are merged where they are shown, and what an event only hints at is
// fetched again.
import type { Job, StudioEvent } from '@mistudio/contract'
import type { InfiniteData, QueryClient } from '@tanstack/react-query'
import { mergeEvents } from './merge.ts'
import { remember } from './recent.ts'

/** `extraction/extr_…` → collection and id. */
export function partsOf(channel: string): { collection: string; id: string } {
  const [entity, id] = channel.split('/')
  return { collection: `${entity}s`, id }
}

/** Merges the events of one channel into the entity, wherever the cache holds it, and into the jobs that work on it. */
export function applyEvents(options: { cache: QueryClient; channel: string; events: StudioEvent[] }): void {
  const { cache, channel, events } = options
  const { collection, id } = partsOf(channel)
  remember(events)
  patch(cache, collection, id, entity => mergeEvents(entity, events))
  const progress = { entity: undefined, nlp: undefined } as Record<'entity' | 'nlp', number | undefined>
  for (const { data } of events) {
    if ('progress' in data && typeof data.progress === 'number') progress.entity = data.progress
    if ('nlp_progress' in data) progress.nlp = data.nlp_progress
  }
  patchList<Job>(cache, 'jobs', job => {
    const share = job.kind === 'nlp' ? progress.nlp : progress.entity
    return job.entity !== channel || share === undefined ? job : { ...job, progress: share }
  })
}

/** A snapshot replaces what the cache holds. */
export function applySnapshot(options: { cache: QueryClient; channel: string; data: unknown }): void {
  const { cache, channel, data } = options
  if (typeof data !== 'object' || data === null) return
  const { collection, id } = partsOf(channel)
  patch(cache, collection, id, entity => ({ ...entity, ...data }))
}

/** Collections to fetch again after events of `jobs/all`. */
export function touchedBy(events: readonly StudioEvent[]): Set<string> {
  const touched = new Set<string>()
  for (const event of events) {
    if (event.event !== 'job:status' && event.event !== 'entity:changed') continue
    const { collection } = partsOf(event.data.entity)
    touched.add(collection)
    if (event.event === 'job:status') {
      touched.add('jobs')
      if (event.data.kind === 'nlp') touched.add('features')
    }
    // A training lists which of its SAEs are imported.
    if (collection === 'saes') touched.add('trainings')
  }
  return touched
}

type Listed = { id: string }

function patch(
  cache: QueryClient,
  collection: string,
  id: string,
  change: <T extends Listed>(value: T) => T,
) {
  cache.setQueryData<Listed>([collection, 'one', id], value => value && change(value))
  patchList<Listed>(cache, collection, value => (value.id === id ? change(value) : value))
}

function patchList<T>(cache: QueryClient, collection: string, change: (item: T) => T): void {
  cache.setQueriesData<{ data: T[] } | InfiniteData<unknown>>({ queryKey: [collection, 'list'] }, page => {
    if (page === undefined || !('data' in page)) return page
    const data = page.data.map(change)
    return data.every((item, i) => item === page.data[i]) ? page : { ...page, data }
  })
}

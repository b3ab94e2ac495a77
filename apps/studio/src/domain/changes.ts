// What goes with every change of what there is: the event for lists, unused folders, the traces of a deleted entity.
import { rm } from 'node:fs/promises'
import { channelOf } from '@mistudio/contract'
import { inArray } from 'drizzle-orm'
import type { Transaction } from '../db/connect.ts'
import { channels, events, jobs } from '../db/schema.ts'
import type { NewEvent } from '../events/log.ts'
import { ProblemError } from '../problem.ts'
import type { Services } from './services.ts'

/** @param entity as in `dataset/ds_…` */
export const changed = (entity: string, status: 'created' | 'deleted'): NewEvent => ({
  channel: channelOf.jobs,
  event: 'entity:changed',
  data: { entity, status },
})

/** The jobs and events of deleted entities. @param entities as in `training/train_…`, also their channels */
export async function forget(tx: Transaction, entities: string[]): Promise<NewEvent[]> {
  if (entities.length === 0) return []
  await tx.delete(jobs).where(inArray(jobs.entity, entities))
  await tx.delete(events).where(inArray(events.channel, entities))
  await tx.delete(channels).where(inArray(channels.channel, entities))
  return entities.map(entity => changed(entity, 'deleted'))
}

/** Removes the folders of what is deleted already; a folder that stays is no reason to say that it is not. */
export async function removeFolders(services: Services, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await rm(services.storage.resolve(path), { recursive: true, force: true }).catch(services.onError)
  }
}

export function inUse(options: { entity: string; name: string; by: string }): ProblemError {
  const { entity, name, by } = options
  return new ProblemError('conflict', {
    title: `the ${entity} is in use`,
    field: 'id',
    found: `${name}, used by ${by}`,
    expected: `a ${entity} that nothing uses`,
  })
}

/** Rows of one transaction have one now(): a millisecond apart they keep their order in lists. */
export function inSequence<T extends object>(rows: readonly T[]): (T & { created_at: Date })[] {
  const now = Date.now()
  return rows.map((row, i) => ({ ...row, created_at: new Date(now + i) }))
}

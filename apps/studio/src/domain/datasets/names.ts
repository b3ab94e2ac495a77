// Names of datasets by their ids: a person reads names, never ids.
import { inArray } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { datasets } from '../../db/schema.ts'

/** @returns names in the order of the ids; a dataset in use cannot be deleted, so each is there */
export async function datasetNames(
  db: Executor,
  lists: readonly string[][],
): Promise<(ids: string[]) => string[]> {
  const ids = [...new Set(lists.flat())]
  const found =
    ids.length === 0
      ? []
      : await db
          .select({ id: datasets.id, name: datasets.name })
          .from(datasets)
          .where(inArray(datasets.id, ids))
  const names = new Map(found.map(({ id, name }) => [id, name]))
  return wanted => wanted.map(id => names.get(id) ?? 'a deleted dataset')
}

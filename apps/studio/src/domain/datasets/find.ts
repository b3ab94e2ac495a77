// Datasets as the API shows them.
import type { Dataset } from '@mistudio/contract'
import { desc, eq } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { datasets } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { iso, type Paging, pageOfItems } from '../paging.ts'

const toDataset = ({ path: _, created_at, ...row }: typeof datasets.$inferSelect): Dataset => ({
  ...row,
  created_at: iso(created_at),
})

export async function findDataset(db: Executor, id: string): Promise<Dataset> {
  const [row] = await db.select().from(datasets).where(eq(datasets.id, id))
  if (row === undefined) throw notFound('dataset', id)
  return toDataset(row)
}

/** The newest first. */
export async function listDatasets(db: Executor, query: Paging) {
  const rows = await db
    .select()
    .from(datasets)
    .orderBy(desc(datasets.created_at), desc(datasets.id))
    .limit(query.limit)
    .offset(query.offset)
  return pageOfItems({ data: rows.map(toDataset), total: await db.$count(datasets), query })
}

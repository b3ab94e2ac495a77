// Models as the API shows them.
import type { Model } from '@mistudio/contract'
import { desc, eq } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { models } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { iso, type Paging, pageOfItems } from '../paging.ts'

const toModel = ({ created_at, ...row }: typeof models.$inferSelect): Model => ({
  ...row,
  created_at: iso(created_at),
})

export async function findModel(db: Executor, id: string): Promise<Model> {
  const [row] = await db.select().from(models).where(eq(models.id, id))
  if (row === undefined) throw notFound('model', id)
  return toModel(row)
}

/** The newest first. */
export async function listModels(db: Executor, query: Paging) {
  const rows = await db
    .select()
    .from(models)
    .orderBy(desc(models.created_at), desc(models.id))
    .limit(query.limit)
    .offset(query.offset)
  return pageOfItems({ data: rows.map(toModel), total: await db.$count(models), query })
}

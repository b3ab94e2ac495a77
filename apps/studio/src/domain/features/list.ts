// Lists of features, from the rows alone: filtered, searched, sorted.
import type { FeatureItem, FeatureQuery } from '@mistudio/contract'
import { and, asc, eq, gte, like, lte, type SQL, sql } from 'drizzle-orm'
import type { Executor } from '../../db/connect.ts'
import { extractions, features } from '../../db/schema.ts'
import { notFound } from '../../problem.ts'
import { pageOfItems } from '../paging.ts'
import { containing } from '../search.ts'
import { featureColumns, featureIdIn } from './columns.ts'

export async function listFeatures(db: Executor, query: FeatureQuery) {
  const { extraction_id, search = '', sort_by, sort_order } = query
  const [extraction] = await db.select().from(extractions).where(eq(extractions.id, extraction_id))
  if (extraction === undefined) throw notFound('extraction', extraction_id, 'extraction_id')
  const bound = (given: number | undefined, condition: (value: number) => SQL) =>
    given === undefined ? undefined : condition(given)
  const where = and(
    eq(features.extraction_id, extraction_id),
    // The rows' search text is lower case.
    search === '' ? undefined : like(features.search_text, containing(search.toLowerCase())),
    bound(query.min_density, value => gte(features.density, value)),
    bound(query.max_density, value => lte(features.density, value)),
    bound(query.min_max, value => gte(features.max, value)),
    bound(query.max_max, value => lte(features.max, value)),
  )
  const column = features[sort_by]
  const order = sort_order === 'asc' ? sql`${column} asc nulls last` : sql`${column} desc nulls last`
  const rows = await db
    .select(featureColumns)
    .from(features)
    .where(where)
    .orderBy(order, asc(features.feature))
    .limit(query.limit)
    .offset(query.offset)
  const data = rows.map((row): FeatureItem => ({ id: featureIdIn(row), ...row }))
  return pageOfItems({ data, total: await db.$count(features, where), query })
}

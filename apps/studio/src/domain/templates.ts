// Templates: configurations under a name.
import { extractionTemplateName, type ParsedRequest, type Template } from '@mistudio/contract'
import { and, desc, eq } from 'drizzle-orm'
import type { Executor } from '../db/connect.ts'
import { templates } from '../db/schema.ts'
import { newId } from '../ids.ts'
import { notFound } from '../problem.ts'
import { changed } from './changes.ts'
import { iso, type Paging, pageOfItems } from './paging.ts'
import type { Services } from './services.ts'

type Kind = Template['kind']

const toTemplate = ({ created_at, ...row }: typeof templates.$inferSelect): Template => ({
  ...row,
  extra_metadata: row.extra_metadata as Template['extra_metadata'],
  created_at: iso(created_at),
})

/** The newest first. */
export async function listTemplates(db: Executor, options: { kind: Kind; page: Paging }) {
  const { kind, page: query } = options
  const where = eq(templates.kind, kind)
  const rows = await db
    .select()
    .from(templates)
    .where(where)
    .orderBy(desc(templates.created_at), desc(templates.id))
    .limit(query.limit)
    .offset(query.offset)
  return pageOfItems({ data: rows.map(toTemplate), total: await db.$count(templates, where), query })
}

export async function createTemplate(
  { db, log }: Services,
  options: { kind: Kind; request: ParsedRequest<'createTemplate'>['body'] },
): Promise<Template> {
  const { kind, request } = options
  const { name = extractionTemplateName(request.config), description, config, extra_metadata } = request
  const id = newId('template')
  await log.write(async tx => {
    await tx.insert(templates).values({ id, kind, name, description, config, extra_metadata })
    return [changed(`template/${id}`, 'created')]
  })
  const [row] = await db.select().from(templates).where(eq(templates.id, id))
  return toTemplate(row)
}

export async function removeTemplate({ log }: Services, options: { id: string; kind: Kind }): Promise<void> {
  const { id, kind } = options
  await log.write(async tx => {
    const where = and(eq(templates.id, id), eq(templates.kind, kind))
    const [gone] = await tx.delete(templates).where(where).returning()
    if (gone === undefined) throw notFound('template', id)
    return [changed(`template/${id}`, 'deleted')]
  })
}

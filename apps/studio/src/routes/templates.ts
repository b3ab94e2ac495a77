// Templates: configurations under a name.
import { extractionTemplateName, type Template } from '@mistudio/contract'
import { and, desc, eq } from 'drizzle-orm'
import { templates } from '../db/schema.ts'
import { changed } from '../domain/changes.ts'
import { iso, pageOfItems } from '../domain/paging.ts'
import type { Services } from '../domain/services.ts'
import { newId } from '../ids.ts'
import { notFound } from '../problem.ts'
import type { Handlers } from './register.ts'

const toTemplate = ({ created_at, ...row }: typeof templates.$inferSelect): Template => ({
  ...row,
  extra_metadata: row.extra_metadata as Template['extra_metadata'],
  created_at: iso(created_at),
})

type Names = 'listTemplates' | 'createTemplate' | 'deleteTemplate'

export function templateHandlers({ db, log }: Services): Pick<Handlers, Names> {
  return {
    async listTemplates({ params, query }) {
      const where = eq(templates.kind, params.kind)
      const rows = await db
        .select()
        .from(templates)
        .where(where)
        .orderBy(desc(templates.created_at), desc(templates.id))
        .limit(query.limit)
        .offset(query.offset)
      return pageOfItems({ data: rows.map(toTemplate), total: await db.$count(templates, where), query })
    },
    async createTemplate({ params, body }) {
      const id = newId('template')
      const { name = extractionTemplateName(body.config), description, config, extra_metadata } = body
      await log.write(async tx => {
        await tx
          .insert(templates)
          .values({ id, kind: params.kind, name, description, config, extra_metadata })
        return [changed(`template/${id}`, 'created')]
      })
      const [row] = await db.select().from(templates).where(eq(templates.id, id))
      return toTemplate(row)
    },
    async deleteTemplate({ params }) {
      await log.write(async tx => {
        const where = and(eq(templates.id, params.id), eq(templates.kind, params.kind))
        const [gone] = await tx.delete(templates).where(where).returning()
        if (gone === undefined) throw notFound('template', params.id)
        return [changed(`template/${params.id}`, 'deleted')]
      })
    },
  }
}

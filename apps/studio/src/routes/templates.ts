// Templates: configurations under a name.
import type { Services } from '../domain/services.ts'
import { createTemplate, listTemplates, removeTemplate } from '../domain/templates.ts'
import type { Handlers } from './register.ts'

type Names = 'listTemplates' | 'createTemplate' | 'deleteTemplate'

export function templateHandlers(services: Services): Pick<Handlers, Names> {
  return {
    listTemplates: ({ params, query }) => listTemplates(services.db, { kind: params.kind, page: query }),
    createTemplate: ({ params, body }) => createTemplate(services, { kind: params.kind, request: body }),
    deleteTemplate: ({ params }) => removeTemplate(services, params),
  }
}

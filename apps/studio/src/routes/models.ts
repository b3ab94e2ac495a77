// Models: folders in Hugging Face layout that stay where they are.
import { createModel } from '../domain/models/create.ts'
import { findModel, listModels } from '../domain/models/find.ts'
import { removeModel } from '../domain/models/remove.ts'
import type { Services } from '../domain/services.ts'
import type { Handlers } from './register.ts'

type Names = 'listModels' | 'createModel' | 'getModel' | 'deleteModel'

export function modelHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    listModels: ({ query }) => listModels(db, query),
    createModel: ({ body }) => createModel(services, body),
    getModel: ({ params }) => findModel(db, params.id),
    deleteModel: ({ params }) => removeModel(services, params.id),
  }
}

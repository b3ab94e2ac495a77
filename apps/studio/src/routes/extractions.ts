// Extractions: one SAE over text to features.
import { cancelExtraction, removeExtraction } from '../domain/extractions/end.ts'
import { findExtraction, findExtractions, listExtractions } from '../domain/extractions/find.ts'
import { createExtractions } from '../domain/extractions/plan.ts'
import type { Services } from '../domain/services.ts'
import type { Handlers } from './register.ts'

type Names =
  | 'listExtractions'
  | 'createExtractions'
  | 'getExtraction'
  | 'cancelExtraction'
  | 'deleteExtraction'

export function extractionHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    listExtractions: ({ query }) => listExtractions(db, query),
    async createExtractions({ body }) {
      const { batchId, created, skipped } = await createExtractions(services, body)
      return { batch_id: batchId, created: await findExtractions(db, created), skipped }
    },
    getExtraction: ({ params }) => findExtraction(db, params.id),
    cancelExtraction: ({ params }) => cancelExtraction(services, params.id),
    deleteExtraction: ({ params }) => removeExtraction(services, params.id),
  }
}

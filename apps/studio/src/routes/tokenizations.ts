// Tokenizations: a dataset under a model's tokenizer, once for each context size.
import type { Services } from '../domain/services.ts'
import { createTokenization } from '../domain/tokenizations/create.ts'
import { findTokenization, listTokenizations } from '../domain/tokenizations/find.ts'
import type { Handlers } from './register.ts'

type Names = 'listTokenizations' | 'createTokenization' | 'getTokenization' | 'cancelTokenization'

export function tokenizationHandlers(services: Services): Pick<Handlers, Names> {
  const { db, host } = services
  return {
    listTokenizations: ({ query }) => listTokenizations(db, query),
    createTokenization: ({ body }) =>
      createTokenization(services, {
        datasetId: body.dataset_id,
        modelId: body.model_id,
        contextSize: body.context_size,
      }),
    getTokenization: ({ params }) => findTokenization(db, params.id),
    async cancelTokenization({ params }) {
      const { job_id } = await findTokenization(db, params.id)
      if (job_id !== null) await host.cancel(job_id)
      return findTokenization(db, params.id)
    },
  }
}

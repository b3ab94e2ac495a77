// SAEs that can be used, and how they come in.
import { findSae, findSaes, listSaes } from '../domain/saes/find.ts'
import { importSaes } from '../domain/saes/import.ts'
import { removeSae } from '../domain/saes/remove.ts'
import type { Services } from '../domain/services.ts'
import type { Handlers } from './register.ts'

type Names = 'listSaes' | 'importSaes' | 'getSae' | 'deleteSae'

export function saeHandlers(services: Services): Pick<Handlers, Names> {
  const { db } = services
  return {
    listSaes: ({ query }) => listSaes(db, query),
    async importSaes({ body }) {
      const { imported, skipped } = await importSaes(services, body)
      return { imported: await findSaes(db, imported), skipped }
    },
    getSae: ({ params }) => findSae(db, params.id),
    deleteSae: ({ params }) => removeSae(services, params.id),
  }
}

// Features: lists, and one with its examples.
import { findFeature } from '../domain/features/find.ts'
import { listFeatures } from '../domain/features/list.ts'
import type { Services } from '../domain/services.ts'
import type { Handlers } from './register.ts'

export function featureHandlers(services: Services): Pick<Handlers, 'listFeatures' | 'getFeature'> {
  return {
    listFeatures: ({ query }) => listFeatures(services.db, query),
    getFeature: ({ params }) => findFeature(services, params.id),
  }
}

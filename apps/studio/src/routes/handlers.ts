// All handlers: a route of the contract without one does not compile.

import type { Services } from '../domain/services.ts'
import { datasetHandlers } from './datasets.ts'
import { extractionHandlers } from './extractions.ts'
import { familyHandlers } from './families.ts'
import { featureHandlers } from './features.ts'
import { formatHandlers } from './formats.ts'
import { jobHandlers } from './jobs.ts'
import { modelHandlers } from './models.ts'
import type { Handlers } from './register.ts'
import { saeHandlers } from './saes.ts'
import { templateHandlers } from './templates.ts'
import { tokenizationHandlers } from './tokenizations.ts'
import { trainingHandlers } from './trainings.ts'

export const handlersOf = (services: Services): Handlers => ({
  ...datasetHandlers(services),
  ...tokenizationHandlers(services),
  ...modelHandlers(services),
  ...familyHandlers(),
  ...formatHandlers(),
  ...trainingHandlers(services),
  ...saeHandlers(services),
  ...extractionHandlers(services),
  ...featureHandlers(services),
  ...templateHandlers(services),
  ...jobHandlers(services),
})

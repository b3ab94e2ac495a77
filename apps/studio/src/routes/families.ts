// Families, recipes and metrics: what a form for a training is drawn from.
import { familyViews, metricViews, recipeViews } from '../domain/families.ts'
import type { Handlers } from './register.ts'

type Names = 'listFamilies' | 'listRecipes' | 'listMetrics'

export const familyHandlers = (): Pick<Handlers, Names> => ({
  listFamilies: async () => familyViews(),
  listRecipes: async () => ({ data: recipeViews() }),
  listMetrics: async () => ({ data: metricViews() }),
})

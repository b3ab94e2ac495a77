// The recipes by name: named configurations with their source. `--recipe NAME` applies first, single settings override it.

import { notFound } from '@mistudio/files'
import { familyOf } from './families.ts'
import { memberFields } from './family.ts'
import { byWireName, type FieldTable, type Settings } from './fields.ts'
import { dictionaryLearningRecipes } from './recipes/dictionary_learning.ts'
import { frameworkRecipes } from './recipes/frameworks.ts'
import { paperRecipes } from './recipes/papers.ts'
import type { Recipe } from './recipes/recipe.ts'
import { saelensRecipes } from './recipes/saelens.ts'
import { sparsifyRecipes } from './recipes/sparsify.ts'

export type { Recipe } from './recipes/recipe.ts'

/** In display order. */
export const recipes: readonly Recipe[] = [
  ...paperRecipes,
  ...saelensRecipes,
  ...dictionaryLearningRecipes,
  ...sparsifyRecipes,
  ...frameworkRecipes,
]

/**
 * Also takes a title, e.g. `TopK (OpenAI)` for `topk_openai`.
 * @throws InputError naming the nearest recipes
 */
export function recipeOf(name: string): Recipe {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '')
  const recipe = recipes.find(recipe => recipe.name === slug)
  if (recipe !== undefined) return recipe
  throw notFound({ what: 'recipe', field: 'recipe', name, known: recipes.map(({ name }) => name) })
}

/** The member's part of a recipe; the rest is the run's. */
export function splitRecipe(recipe: Recipe): { member: Settings; run: Settings } {
  const tables: FieldTable[] = [memberFields, familyOf(recipe.family).fields]
  const own = new Set(tables.flatMap(table => [...byWireName(table).keys()]))
  const entries = Object.entries(recipe.sets)
  return {
    member: Object.fromEntries(entries.filter(([name]) => own.has(name))),
    run: Object.fromEntries(entries.filter(([name]) => !own.has(name))),
  }
}

// Recipes are data: each must complete and set only what exists.
import { describe, expect, it } from 'vitest'
import { familyOf } from './families.ts'
import { memberFields } from './family.ts'
import { byWireName, readFields } from './fields.ts'
import { completeMember } from './member.ts'
import { recipeOf, recipes, splitRecipe } from './recipes.ts'
import { runFields } from './run_settings.ts'

const hooksOf = {
  one: [['a'], []],
  in_out: [['a'], ['b']],
  several: [['a', 'b'], []],
  layers: [
    ['a', 'b'],
    ['c', 'd'],
  ],
} as const

function completed(name: string, settings = {}) {
  const recipe = recipeOf(name)
  const [inputs, outputs] = hooksOf[familyOf(recipe.family).hooks]
  return completeMember({
    member: {
      name: 'm',
      family: recipe.family,
      inputs,
      outputs,
      dSae: 12_288,
      settings: { ...splitRecipe(recipe).member, ...settings },
    },
    widthOf: () => 768,
    batchSize: 4096,
    totalSteps: 25_000,
    trainTokens: 100_000_000,
  })
}

describe.each(recipes.map(recipe => [recipe.name, recipe] as const))('recipe %s', (name, recipe) => {
  it('completes for a plausible shape and sets only known names', () => {
    const { described, plan } = completed(name)
    const own = [memberFields, familyOf(recipe.family).fields].flatMap(table => [...byWireName(table).keys()])
    const known = new Set([...own, ...byWireName(runFields).keys()])
    expect(Object.keys(recipe.sets).filter(key => !known.has(key))).toEqual([])
    expect(plan.shape.dSae).toBe(12_288)
    // A recipe's settings are the ones trained with; null leaves the choice to the family.
    for (const [key, value] of Object.entries(splitRecipe(recipe).member)) {
      if (value !== null) expect([key, described[key]]).toEqual([key, value])
    }
  })

  it('sets run settings within their bounds', () => {
    expect(() => readFields(runFields, splitRecipe(recipe).run)).not.toThrow()
  })

  it('says where its numbers come from', () => {
    expect(recipe.source.length).toBeGreaterThan(20)
  })
})

describe('recipes', () => {
  it('have different names', () => {
    expect(new Set(recipes.map(({ name }) => name)).size).toBe(recipes.length)
  })

  it('carry none of the mistakes of the reference over', () => {
    const sets = recipes.map(recipe => recipe.sets)
    expect(sets.some(({ sparsity_coefficient }) => sparsity_coefficient === 0.045)).toBe(false)
    expect(sets.some(({ batch_size }) => batch_size === 64)).toBe(false)
    expect(sets.some(given => 'weight_decay' in given)).toBe(false)
  })

  it('are found by the title of a framework too', () => {
    expect(recipeOf('TopK (OpenAI)').name).toBe('topk_openai')
    expect(recipeOf('Standard (Anthropic)').sets.sparsity_coefficient).toBe(5)
  })

  it('that do not exist are refused with the nearest names', () => {
    expect(() => recipeOf('saelens_topq')).toThrow(/there is no recipe saelens_topq.*saelens_topk/)
    expect(() => recipeOf('gema_scope')).toThrow(/gemma_scope/)
  })

  it('give way to single settings', () => {
    expect(completed('openai', { k: 64 }).plan.selection).toMatchObject({ kind: 'topk', k: 64 })
  })

  it('weigh the nested reconstructions of dictionary_learning by 1 each, at its widths', () => {
    expect(completed('dictionary_learning_matryoshka').plan.levels).toEqual(
      [384, 1152, 2688, 5760, 12_288].map(width => ({ width, weight: 1 })),
    )
  })

  it('have a skip that is learned where the reference added x itself', () => {
    expect(completed('skip').plan).toMatchObject({ skip: true, centred: false })
  })
})

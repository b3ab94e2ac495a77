// The demo of the terminal and that of the studio are one demo: their figures can be compared.
import { hookPointOf } from '@mistudio/contract'
import { demoRecipe } from '@mistudio/studio'
import { expect, test } from 'vitest'
import { recipe } from './recipe.ts'

test('the studio trains and extracts what the terminal does', () => {
  const { training, extraction } = demoRecipe
  const hooks = training.layers.flatMap(layer =>
    training.hook_types.map(hookType => hookPointOf({ layer, hookType })),
  )
  const { train_tokens, batch_size, settings, d_sae, context_size } = training.hyperparameters
  expect({ datasets: demoRecipe.datasets, hooks, dSae: d_sae, contextSize: context_size }).toEqual({
    datasets: recipe.datasets,
    hooks: recipe.hooks,
    dSae: recipe.dSae,
    contextSize: recipe.contextSize,
  })
  expect({ trainTokens: train_tokens, batchSize: batch_size }).toEqual(recipe.settings)
  expect(settings).toEqual(recipe.member)
  expect(extraction.max_tokens).toBe(recipe.extractionTokens)
})

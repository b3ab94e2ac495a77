// The demo of the terminal and that of the studio are one demo: their figures can be compared.
import { hookPointOf } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { demoRecipe } from '../../../studio/src/demo.ts'
import { recipe } from './recipe.ts'

test('the studio trains and extracts what the terminal does', () => {
  const { training, extraction } = demoRecipe
  const hooks = training.layers.flatMap(layer =>
    training.hook_types.map(hookType => hookPointOf({ layer, hookType })),
  )
  const { train_tokens, batch_size, settings, d_sae, context_size } = training.hyperparameters
  const { k, learning_rate, normalisation } = settings
  expect({ datasets: demoRecipe.datasets, hooks, dSae: d_sae, k, contextSize: context_size }).toEqual({
    datasets: recipe.datasets,
    hooks: recipe.hooks,
    dSae: recipe.dSae,
    k: recipe.k,
    contextSize: recipe.contextSize,
  })
  expect({
    trainTokens: train_tokens,
    batchSize: batch_size,
    learningRate: learning_rate,
    normalisation,
  }).toEqual(recipe.settings)
  expect(extraction.max_tokens).toBe(recipe.extractionTokens)
})

import {
  extractionConfig,
  hyperparametersGiven,
  hyperparametersRequest,
  trainingRequest,
} from '@mistudio/contract'
import { expect, test } from 'vitest'
import { checked, defaultsOf, descriptionOf, numberOf } from './schema.ts'

test('defaults are those of the contract; a field without one is left out', () => {
  expect(defaultsOf(extractionConfig)).toEqual(extractionConfig.parse({}))
  const defaults = defaultsOf(hyperparametersGiven)
  expect(defaults).toMatchObject({ context_size: 128, recipe: null, seed: 0 })
  expect(defaults).not.toHaveProperty('k')
})

test('descriptions are those of the contract', () => {
  expect(descriptionOf(extractionConfig, 'split')).toBe('documents to read')
  expect(descriptionOf(extractionConfig, 'nothing')).toBe(undefined)
})

test('each field has its own error', () => {
  const result = checked(trainingRequest, {
    model_id: 'm_00000000000000000001',
    dataset_ids: [],
    layers: [0],
    hook_types: ['resid_post'],
    hyperparameters: { d_sae: 8, k: 9, train_tokens: 'many' },
  })
  expect(result.ok).toBe(false)
  if (!result.ok) {
    const { errors } = result
    expect(errors).toEqual({ dataset_ids: 'choose at least 1', 'hyperparameters.train_tokens': 'a number' })
  }
  const outside = { d_sae: 0, k: 1.5, train_tokens: 1, learning_rate: 0, batch_size: 1e9 }
  expect(checked(hyperparametersGiven, outside)).toEqual({
    ok: false,
    errors: {
      d_sae: 'at least 1',
      k: 'a whole number',
      learning_rate: 'more than 0',
      batch_size: 'at most 1048576',
    },
  })
  expect(checked(hyperparametersRequest, { d_sae: 8, k: 9, train_tokens: 1 })).toEqual({
    ok: false,
    errors: { k: 'at most d_sae' },
  })
  expect(checked(hyperparametersGiven, { d_sae: 8, k: 4, train_tokens: 1 })).toMatchObject({
    ok: true,
    value: { context_size: 128 },
  })
})

test('numbers may contain spaces and be written as 1e6; other text is left as it is', () => {
  expect(['', ' ', '1 000', '1_000', '1e6', '0.5', 'ten'].map(numberOf)).toEqual([
    undefined,
    undefined,
    1000,
    1000,
    1e6,
    0.5,
    'ten',
  ])
})

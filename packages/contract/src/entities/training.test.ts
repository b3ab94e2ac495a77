// Requests for trainings: how datasets are named, and what is filled in.
import { expect, test } from 'vitest'
import { trainingRequest } from './training.ts'

const dataset = `ds_${'0'.repeat(20)}`
const body = {
  model_id: `m_${'0'.repeat(20)}`,
  layers: [2, 4],
  hook_types: ['resid_post', 'mlp_out'],
  hyperparameters: { d_sae: 64, k: 8, train_tokens: 1000 },
}
const accepts = (changes: object) => trainingRequest.safeParse({ ...body, ...changes }).success

test('a request has dataset_ids, or the single dataset_id of before, never both', () => {
  expect(accepts({ dataset_ids: [dataset] })).toBe(true)
  expect(accepts({ dataset_id: dataset })).toBe(true)
  expect(accepts({})).toBe(false)
  expect(accepts({ dataset_ids: [] })).toBe(false)
  expect(accepts({ dataset_id: dataset, dataset_ids: [dataset] })).toBe(false)
})

test('what is not given is filled in; k is at most d_sae', () => {
  const request = trainingRequest.parse({ ...body, dataset_id: dataset })
  expect(request.hyperparameters).toEqual({
    family: 'topk',
    recipe: null,
    d_sae: 64,
    settings: { k: 8, normalisation: 'expected_average' },
    train_tokens: 1000,
    context_size: 128,
    seed: 0,
    run: {},
  })
  const wide = { ...body.hyperparameters, k: 65 }
  expect(accepts({ dataset_id: dataset, hyperparameters: wide })).toBe(false)
})

test('a request of before families is stored as one of TopK, with what was the default then', () => {
  const parse = (hyperparameters: object) =>
    trainingRequest.parse({ ...body, dataset_id: dataset, hyperparameters }).hyperparameters
  const before = {
    architecture: 'topk',
    d_sae: 64,
    k: 8,
    train_tokens: 1000,
    batch_size: 512,
    learning_rate: null,
    normalisation: 'none',
    context_size: 64,
    seed: 3,
  }
  expect(parse(before)).toEqual({
    family: 'topk',
    recipe: null,
    d_sae: 64,
    settings: { k: 8, learning_rate: null, normalisation: 'none' },
    train_tokens: 1000,
    batch_size: 512,
    context_size: 64,
    seed: 3,
    run: {},
  })
  // A family's own defaults are not touched.
  const { settings } = parse({ family: 'gated', d_sae: 64, train_tokens: 1000 })
  expect(settings).toEqual({})
})

test('a setting is given once, in the old place or the new one, and a family agrees with its old name', () => {
  const given = (changes: object) =>
    accepts({ dataset_id: dataset, hyperparameters: { d_sae: 64, train_tokens: 1000, ...changes } })
  expect(given({ k: 8 })).toBe(true)
  expect(given({ k: 8, settings: { k: 8 } })).toBe(false)
  expect(given({ family: 'gated', architecture: 'topk' })).toBe(false)
  expect(given({ settings: { 'not a name': 1 } })).toBe(false)
})

test('weights are one for each dataset', () => {
  expect(accepts({ dataset_ids: [dataset], dataset_weights: [2] })).toBe(true)
  expect(accepts({ dataset_ids: [dataset], dataset_weights: [2, 1] })).toBe(false)
  expect(accepts({ dataset_ids: [dataset], dataset_weights: [0] })).toBe(false)
})

// Requests for trainings: what the datasets are called by, and what is filled in.
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
    ...body.hyperparameters,
    architecture: 'topk',
    batch_size: 1024,
    learning_rate: null,
    normalisation: 'expected_average',
    context_size: 128,
    seed: 0,
  })
  const wide = { ...body.hyperparameters, k: 65 }
  expect(accepts({ dataset_id: dataset, hyperparameters: wide })).toBe(false)
})

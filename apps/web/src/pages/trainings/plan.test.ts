import { expect, test } from 'vitest'
import { planOf } from './plan.ts'

const plan = { layers: 2, hookTypes: 2, dModel: 256, dSae: 4096, trainTokens: 1_048_577, batchSize: 1024 }

test('SAEs are layers × hook types, a begun step is a step, weights have two moments', () => {
  expect(planOf(plan)).toEqual({ saes: 4, steps: 1025, bytes: 4 * (2 * 256 * 4096 + 4096 + 256) * 12 })
})

test('what is not known yet is not reckoned', () => {
  expect(planOf({ ...plan, layers: 0 })).toMatchObject({ saes: 0, bytes: 0 })
  expect(planOf({ ...plan, trainTokens: 'many' })).toMatchObject({ steps: null })
  expect(planOf({ ...plan, batchSize: 0 })).toMatchObject({ steps: null })
  expect(planOf({ ...plan, dModel: undefined })).toMatchObject({ bytes: null })
})

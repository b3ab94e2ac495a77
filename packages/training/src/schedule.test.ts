// The learning rate over a run: up, level, down to almost nothing.
import { expect, test } from 'vitest'
import { learningRateAt, type Schedule, topkLearningRate } from './schedule.ts'

const schedule: Schedule = {
  shape: 'linear',
  learningRate: 2,
  warmUpSteps: 10,
  decayFraction: 0.2,
  totalSteps: 100,
}
const rate = (step: number, shape: Schedule['shape'] = 'linear') =>
  learningRateAt({ ...schedule, shape }, step)

test('rises over the warm-up, stays, and falls over the last share of the run', () => {
  expect(rate(0)).toBeCloseTo(0.2, 12)
  expect(rate(4)).toBeCloseTo(1, 12)
  for (const step of [9, 10, 50, 80]) expect(rate(step)).toBe(2)
  expect(rate(81)).toBeCloseTo(2 * (19 / 20), 12)
  expect(rate(90)).toBeCloseTo(1, 12)
  // The last step still learns.
  expect(rate(99)).toBeCloseTo(2 / 20, 12)
})

test('without warm-up or decay it is the rate given', () => {
  const flat = { ...schedule, warmUpSteps: 0, decayFraction: 0 }
  for (const step of [0, 50, 99]) expect(learningRateAt(flat, step)).toBe(2)
})

test('constant warms up and then never falls', () => {
  expect(rate(4, 'constant')).toBeCloseTo(1, 12)
  for (const step of [9, 81, 99]) expect(rate(step, 'constant')).toBe(2)
})

test('a cosine starts at the end of the warm-up, is half in the middle, and ends above 0', () => {
  expect(rate(4, 'cosine')).toBeCloseTo(1, 12)
  expect(rate(10, 'cosine')).toBe(2)
  expect(rate(55, 'cosine')).toBeCloseTo(1, 12)
  expect(rate(99, 'cosine')).toBeGreaterThan(0)
  expect(rate(99, 'cosine')).toBeLessThan(0.01)
})

test('the default rate falls with the root of the width', () => {
  expect(topkLearningRate(2 ** 14)).toBe(2e-4)
  expect(topkLearningRate(2 ** 16)).toBe(1e-4)
})

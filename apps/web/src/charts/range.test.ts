import { expect, test } from 'vitest'
import { rangeOf } from './range.ts'

test('an axis starts at 0 unless that flattens the curve', () => {
  expect(rangeOf(0, 100)).toEqual([0, 106])
  expect(rangeOf(40, 100)[0]).toBe(0)
  const [low, high] = rangeOf(990, 1000)
  expect(low).toBeGreaterThan(980)
  expect(low).toBeLessThan(990)
  expect(high).toBeGreaterThan(1000)
  // From twice the height of the curve on it does not.
  expect(rangeOf(199, 299)[0]).toBe(0)
  expect(rangeOf(200, 300)).toEqual([194, 306])
  expect(rangeOf(-1, 100)[0]).toBeLessThan(-1)
})

test('a flat curve has room around it, and so has none at all', () => {
  expect(rangeOf(null, null)).toEqual([0, 1])
  expect([rangeOf(null, 5), rangeOf(5, null)]).toEqual([
    [0, 1],
    [0, 1],
  ])
  expect([rangeOf(Number.NaN, 5), rangeOf(5, Infinity)]).toEqual([
    [0, 1],
    [0, 1],
  ])
  expect(rangeOf(0, 0)).toEqual([0, 1])
  expect(rangeOf(5, 5)).toEqual([0, 6])
  expect(rangeOf(-5, -5)).toEqual([-6, 0])
})

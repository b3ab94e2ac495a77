import { expect, test } from 'vitest'
import { axisOf } from './axis.ts'

test('equal ratios are equal distances where values span more than a factor of four', () => {
  const { at, log } = axisOf([1, 10, 100])
  expect(log).toBe(true)
  expect(at(10) - at(1)).toBeCloseTo(at(100) - at(10))
})

test('equal differences are equal distances otherwise, and where a value is not above 0', () => {
  for (const values of [
    [2, 4, 6],
    [0, 50, 100],
  ]) {
    const { at, log } = axisOf(values)
    expect(log).toBe(false)
    expect(at(values[1]) - at(values[0])).toBeCloseTo(at(values[2]) - at(values[1]))
  }
})

test('every value lies inside, a single one in the middle', () => {
  for (const values of [[3], [0], [0.2, 0.9], [1, 1000]]) {
    const { at, ticks } = axisOf(values)
    for (const value of [...values, ...ticks]) {
      expect(at(value)).toBeGreaterThan(0)
      expect(at(value)).toBeLessThan(1)
    }
  }
  expect(axisOf([3]).at(3)).toBeCloseTo(0.5)
})

// Logistic regression against its own optimality conditions and against known problems.

import { gaussianStream } from '@mistudio/tensor'
import { describe, expect, test } from 'vitest'
import { denseRows, fitLasso, fitLogistic, scoreOf } from './logistic.ts'

/** Labels drawn from a known linear score; columns of very different sizes. */
function problem(n: number, width: number, seed = 1) {
  const draw = gaussianStream({ seed, purpose: 'logistic' })
  const sizes = Array.from({ length: width }, (_, j) => 10 ** ((j % 5) - 2))
  const truth = sizes.map((size, j) => (j % 3 === 0 ? 2 / size : 0))
  const values = Float64Array.from({ length: n * width }, (_, i) => sizes[i % width] * draw())
  const labels = Uint8Array.from({ length: n }, (_, r) => {
    const score = truth.reduce((sum, w, j) => sum + w * values[r * width + j], 0) + draw()
    return score > 0.5 ? 1 : 0
  })
  return { data: denseRows(values, width), values, labels }
}

describe('the L2 fit', () => {
  test.each([false, true])('ends where the gradient is nothing (balanced %s)', balanced => {
    const [n, width, C] = [300, 10, 0.7]
    const { data, values, labels } = problem(n, width)
    const { weights, bias } = fitLogistic({ data, labels, balanced, C })
    expect(weights.length).toBe(width)
    const positive = labels.reduce((sum, label) => sum + label, 0)
    const share = [n - positive, positive].map(count => (balanced ? n / (2 * count) : 1))
    const gradient = new Float64Array(width + 1)
    data.rows.forEach((row, r) => {
      const error = 1 / (1 + Math.exp(-scoreOf({ weights, bias }, row))) - labels[r]
      for (let j = 0; j < width; j++) gradient[j] += C * share[labels[r]] * error * values[r * width + j]
      gradient[width] += share[labels[r]] * error
    })
    // scikit-learn's objective: C Σ loss + ½‖w‖².
    for (let j = 0; j < width; j++) expect(Math.abs(gradient[j] + weights[j])).toBeLessThan(1e-3)
    expect(Math.abs(gradient[width])).toBeLessThan(1e-3)
  })

  test('tells the classes apart on other draws, and repeats to the bit', () => {
    const { data, labels } = problem(600, 10)
    const fitted = fitLogistic({ data, labels, C: 1e6 })
    expect(fitLogistic({ data, labels, C: 1e6 })).toEqual(fitted)
    const other = problem(600, 10, 2)
    const right = other.data.rows.filter((row, r) => scoreOf(fitted, row) > 0 === (other.labels[r] === 1))
    expect(right.length / 600).toBeGreaterThan(0.9)
  })

  test('stays finite where the classes are separable, and where nothing varies', () => {
    const data = denseRows(Float64Array.of(-1, -2, 1, 2), 1)
    const { weights, bias } = fitLogistic({ data, labels: Uint8Array.of(0, 0, 1, 1) })
    expect(weights[0]).toBeGreaterThan(0.5)
    expect(Math.abs(bias)).toBeLessThan(1e-6)
    const flat = fitLogistic({ data: denseRows(new Float64Array(4), 1), labels: Uint8Array.of(0, 1, 1, 1) })
    expect(flat.weights[0]).toBe(0)
    expect(flat.bias).toBeCloseTo(Math.log(3), 4)
  })
})

test('the L1 fit keeps the columns that decide, and its zeros are exact', () => {
  const draw = gaussianStream({ seed: 4, purpose: 'lasso' })
  const [n, width] = [400, 60]
  const labels = Uint8Array.from({ length: n }, (_, r) => r % 2)
  const rows = Array.from(labels, label => ({
    index: Int32Array.from({ length: width }, (_, j) => j),
    value: Float64Array.from({ length: width }, (_, j) =>
      j < 3 ? (label === 1 ? 1 : 0) + 0.2 * draw() : Math.max(draw(), 0),
    ),
  }))
  const { weights } = fitLasso({ data: { width, rows }, labels, l1: 0.05 })
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a])
  expect(order.slice(0, 3).sort()).toEqual([0, 1, 2])
  expect(weights.filter(value => value === 0).length).toBeGreaterThan(width / 2)
})

// The metrics against figures worked out by hand and against their definitions.

import {
  addSums,
  ceScore,
  cosine,
  deadFraction,
  deltaCe,
  densities,
  densityHistogram,
  emptySums,
  explainedVariance,
  explainedVarianceByDimension,
  explainedVarianceOfDimensions,
  fvu,
  klScore,
  l0,
  l0Bin,
  l0BinRange,
  l0Bins,
  l1,
  l2Ratio,
  type MetricSums,
  mse,
  msePerDimension,
  preservedScore,
  relativeReconstructionBias,
  unscaleSums,
} from '@mistudio/sae'
import { expect, test } from 'vitest'
import { metricTable } from './metric_table.ts'

const sumsOf = (given: Partial<MetricSums>): MetricSums => ({ ...emptySums({ dOut: 1, dSae: 1 }), ...given })

test('without tokens nothing is known', () => {
  const none = emptySums({ dOut: 2, dSae: 3 })
  for (const metric of [
    fvu,
    explainedVariance,
    explainedVarianceByDimension,
    l0,
    l1,
    mse,
    msePerDimension,
    cosine,
    l2Ratio,
    deadFraction,
    densities,
    densityHistogram,
    relativeReconstructionBias,
  ]) {
    expect(metric(none)).toBeNull()
  }
  expect(explainedVarianceOfDimensions(none)).toBeUndefined()
})

test('FVU takes the mean over all tokens, not over each batch', () => {
  // x = (1), (3) in one batch, (11), (13) in another; x̂ is off by 1 everywhere. x̄ = 7, Σ(x − x̄)² = 104.
  const first = sumsOf({
    rows: 2,
    squaredError: Float64Array.of(2),
    sum: Float64Array.of(4),
    sumSquares: Float64Array.of(10),
  })
  const second = { ...first, sum: Float64Array.of(24), sumSquares: Float64Array.of(290) }
  const sums = emptySums({ dOut: 1, dSae: 1 })
  addSums(sums, first)
  addSums(sums, second)
  expect(fvu(sums)).toBeCloseTo(4 / 104, 12)
  expect(explainedVariance(sums)).toBeCloseTo(100 / 104, 12)
  expect(mse(sums)).toBe(1)
  // The average of the two batches' own ratios would be 1.
  expect((fvu(first)! + fvu(second)!) / 2).toBeCloseTo(1, 12)
})

test('FVU of activations without variance is unknown, of NaN it is NaN', () => {
  const flat = sumsOf({
    rows: 2,
    squaredError: Float64Array.of(1),
    sum: Float64Array.of(4),
    sumSquares: Float64Array.of(8),
  })
  expect(fvu(flat)).toBeNull()
  expect(fvu({ ...flat, sumSquares: Float64Array.of(Number.NaN) })).toBeNaN()
  // 0.1 has no exact sum of squares: the rounding error is not variance.
  const tenths = { rows: 3, sum: Float64Array.of(0.1 + 0.1 + 0.1), sumSquares: Float64Array.of(0.03) }
  expect(fvu({ ...flat, ...tenths })).toBeNull()
})

test('explained variance by dimension weighs small dimensions like large ones', () => {
  // Dimension 0: x = ±10, x̂ = x. Dimension 1: x = ±1, x̂ = 0. Dimension 2 is constant.
  const sums = sumsOf({
    rows: 2,
    squaredError: Float64Array.of(0, 2, 0),
    sum: Float64Array.of(0, 0, 6),
    sumSquares: Float64Array.of(200, 2, 18),
  })
  expect(explainedVarianceByDimension(sums)).toEqual([1, 0, null])
  expect(explainedVarianceOfDimensions(sums)).toEqual({ mean: 0.5, min: 0 })
  expect(explainedVariance(sums)).toBeCloseTo(1 - 2 / 202, 12)
  expect(mse(sums)).toBe(1)
  expect(msePerDimension(sums)).toBeCloseTo(1 / 3, 12)
})

test('L0, L1, dead latents and densities count tokens at which a latent fires', () => {
  const sums = { ...emptySums({ dOut: 1, dSae: 5 }), rows: 1000, firing: 1601, l1: 2500 }
  sums.fired.set([1000, 1, 0, 100, 500])
  expect(l0(sums)).toBe(1.601)
  expect(l1(sums)).toBe(2.5)
  expect(deadFraction(sums)).toBe(0.2)
  expect(densities(sums)).toEqual(Float64Array.of(1, 0.001, 0, 0.1, 0.5))
  // Decades from 1e−10: never, then 1e−3 … 1e−2, and the last from 0.1 to 1.
  expect(densityHistogram(sums)).toEqual([1, 0, 0, 0, 0, 0, 0, 1, 0, 3])
})

test('the bins of L0 are powers of two that cover every number of latents', () => {
  expect([0, 1, 2, 3, 4, 7, 8, 1023, 1024].map(l0Bin)).toEqual([0, 1, 2, 2, 3, 3, 4, 10, 11])
  for (let bin = 0; bin < 12; bin++) expect(l0BinRange(bin).map(l0Bin)).toEqual([bin, bin])
  expect(l0Bins(1024)).toBe(12)
})

test('the reconstruction bias is below 1 where norms shrink', () => {
  // x̂ = x / 2: E‖x̂‖² / E[x · x̂] = (1/4) / (1/2).
  expect(relativeReconstructionBias(sumsOf({ rows: 3, reconstructionSquares: 25, product: 50 }))).toBe(0.5)
})

test('sums of scaled activations come back in the scale of the model', () => {
  const plain = sumsOf({
    rows: 2,
    squaredError: Float64Array.of(1),
    sum: Float64Array.of(4),
    sumSquares: Float64Array.of(10),
    reconstructionSquares: 9,
    product: 8,
    cosine: 1.5,
  })
  const scale = 3
  const scaled = {
    ...plain,
    squaredError: Float64Array.of(9),
    sum: Float64Array.of(12),
    sumSquares: Float64Array.of(90),
    reconstructionSquares: 81,
    product: 72,
  }
  expect(unscaleSums(scaled, scale)).toEqual(plain)
})

test('ΔCE, CE scores and the KL score', () => {
  const entropies = { clean: 3, spliced: 3.5, zero: 8 }
  expect(deltaCe(entropies)).toBe(0.5)
  expect(ceScore(entropies)).toBe(0.9)
  expect(ceScore({ ...entropies, zero: 3 })).toBeNull()
  // Near 1 against zero ablation, yet much worse against the mean: why both are given.
  expect(preservedScore({ clean: 3, spliced: 3.5, ablated: 4 })).toBe(0.5)
  expect(klScore({ spliced: 0.25, ablated: 1 })).toBe(0.75)
  expect(klScore({ spliced: 0, ablated: 0 })).toBeNull()
})

test('every metric has a label, a definition and a count that exists', () => {
  for (const [name, { label, definition, where, counted }] of Object.entries(metricTable)) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(label.length).toBeGreaterThan(1)
    expect(definition.endsWith('.')).toBe(true)
    expect(where.length).toBeGreaterThan(0)
    expect(counted === null || counted.endsWith('tokens')).toBe(true)
  }
})

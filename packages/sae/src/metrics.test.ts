// The metrics against figures worked out by hand and against their definitions.
import { expect, test } from 'vitest'
import {
  ceScore,
  deadFraction,
  deltaCe,
  densities,
  densityHistogram,
  emptySums,
  fvu,
  l0,
  mse,
  relativeReconstructionBias,
} from './metrics.ts'

test('without tokens nothing is known', () => {
  const none = emptySums({ dIn: 2, dSae: 3 })
  for (const metric of [
    fvu,
    l0,
    mse,
    deadFraction,
    densities,
    densityHistogram,
    relativeReconstructionBias,
  ]) {
    expect(metric(none)).toBeNull()
  }
})

test('FVU takes the mean over all tokens, not over each batch', () => {
  // x = (1), (3) in one batch, (11), (13) in another; x̂ is off by 1 everywhere. x̄ = 7, Σ(x − x̄)² = 104.
  const sums = { ...emptySums({ dIn: 1, dSae: 1 }), tokens: 4, squaredError: 4, sumSquares: 300 }
  sums.sum[0] = 28
  expect(fvu(sums)).toBeCloseTo(4 / 104, 12)
  expect(mse(sums)).toBe(1)
})

test('FVU of activations without variance is unknown, of NaN it is NaN', () => {
  const flat = { ...emptySums({ dIn: 1, dSae: 1 }), tokens: 2, squaredError: 1, sumSquares: 8 }
  flat.sum[0] = 4
  expect(fvu(flat)).toBeNull()
  expect(fvu({ ...flat, sumSquares: Number.NaN })).toBeNaN()
})

test('L0, dead latents and densities count tokens at which a latent fires', () => {
  const sums = { ...emptySums({ dIn: 1, dSae: 5 }), tokens: 1000, firing: 1601 }
  sums.fired.set([1000, 1, 0, 100, 500])
  expect(l0(sums)).toBe(1.601)
  expect(deadFraction(sums)).toBe(0.2)
  expect(densities(sums)).toEqual(Float64Array.of(1, 0.001, 0, 0.1, 0.5))
  // Decades from 1e−10: never, then 1e−3 … 1e−2, and the last from 0.1 to 1.
  expect(densityHistogram(sums)).toEqual([1, 0, 0, 0, 0, 0, 0, 1, 0, 3])
})

test('the reconstruction bias is below 1 where norms shrink', () => {
  // x̂ = x / 2: E‖x̂‖² / E[x · x̂] = (1/4) / (1/2).
  const sums = { ...emptySums({ dIn: 1, dSae: 1 }), tokens: 3, reconstructionSquares: 25, product: 50 }
  expect(relativeReconstructionBias(sums)).toBe(0.5)
})

test('ΔCE and the CE score', () => {
  const entropies = { clean: 3, spliced: 3.5, zero: 8 }
  expect(deltaCe(entropies)).toBe(0.5)
  expect(ceScore(entropies)).toBe(0.9)
  expect(ceScore({ ...entropies, zero: 3 })).toBeNull()
})

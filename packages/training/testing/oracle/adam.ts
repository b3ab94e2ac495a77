// Adam as PyTorch's torch.optim.Adam computes it, and the constraints that a plan puts on its parameters, in float64.
import type { AdamRates } from '../../src/learner.ts'
import type { Plan } from '../../src/plan.ts'
import { latentRows, type OracleWeights, type ParameterName } from './weights.ts'

export type Moments = { first: OracleWeights; second: OracleWeights }

/** One step, in place. `step` counts from 1. */
export function adamStep(options: {
  weights: OracleWeights
  moments: Moments
  gradients: OracleWeights
  rates: AdamRates
  step: number
}): void {
  const { weights, moments, gradients, rates, step } = options
  const { learningRate, beta1, beta2, epsilon, clipScale } = rates
  const stepSize = learningRate / (1 - beta1 ** step)
  const correction = Math.sqrt(1 - beta2 ** step)
  for (const name of Object.keys(weights) as ParameterName[]) {
    const [values, m, v, g] = [weights, moments.first, moments.second, gradients].map(all => all[name]!)
    for (let at = 0; at < values.length; at++) {
      const slope = g[at] * clipScale
      m[at] = beta1 * m[at] + (1 - beta1) * slope
      v[at] = beta2 * v[at] + (1 - beta2) * slope * slope
      values[at] -= (stepSize * m[at]) / (Math.sqrt(v[at]) / correction + epsilon)
    }
  }
}

/** Decoder rows of norm 1 where the plan asks for them; thresholds at or above 0. A row of zeros stays as it is. */
export function constrain(plan: Plan, weights: OracleWeights): void {
  if (plan.decoder === 'unit') {
    for (const { dec, output } of latentRows(plan)) {
      const row = weights.wDec.subarray(dec, dec + output[1] - output[0])
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
      if (norm > 0) for (let j = 0; j < row.length; j++) row[j] /= norm
    }
  }
  const { threshold } = weights
  if (threshold !== undefined)
    for (let i = 0; i < threshold.length; i++) threshold[i] = Math.max(0, threshold[i])
}

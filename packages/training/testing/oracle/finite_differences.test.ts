// The judge judged: analytic gradients against central differences of the surrogate, for every parameter of every
// family's plan and of the plans by hand. Points within 10 steps of a kink are skipped and counted.
import { describe, expect, test } from 'vitest'
import type { Example } from '../example_plans.ts'
import { suitePlans } from '../suite_plans.ts'
import { someRows, someWeights } from '../suite_support.ts'
import { type Given, oracleForward } from './forward.ts'
import { oracleGradients } from './gradients.ts'
import { kinkDistances, surrogateLoss } from './surrogate.ts'
import { latentRows, type ParameterName } from './weights.ts'

const rows = 9
const step = 1e-6

/** Dead latents among the first, so that levels, groups and AuxK meet them; an SAE's y is its x. */
function pointOf({ plan, dynamics }: Example, seed: number): Given {
  const { dIn, dSae, dOut } = plan.shape
  const x = someRows(rows * dIn, seed)
  const joint = plan.centred || (dIn === dOut && !plan.skip)
  const y = joint ? x : someRows(rows * dOut, seed + 1)
  const dead = new Uint8Array(dSae).map((_, i) => Number(i % 3 === 1))
  return { plan, weights: someWeights(plan, seed), x, y, dynamics, dead, penaltyFactor: 1.3 }
}

/** Parameters whose difference a kink may spoil: those of latents near one; b_dec, W_skip reach all latents or none. */
function spoilt(given: Given, near: Uint8Array): (name: ParameterName, at: number) => boolean {
  const places = latentRows(given.plan)
  const encoder = new Map<number, number>()
  places.forEach(({ enc, input }, i) => {
    for (let j = 0; j < input[1] - input[0]; j++) encoder.set(enc + j, i)
  })
  const any = near.includes(1)
  return (name, at) => {
    switch (name) {
      case 'wEnc':
        return near[encoder.get(at)!] === 1
      case 'bEnc':
      case 'threshold':
      case 'rMag':
      case 'bMag':
        return near[at] === 1
      case 'bDec':
        return given.plan.centred && any
      case 'wDec':
      case 'wSkip':
        return false
    }
  }
}

describe.each(suitePlans)('$name', example => {
  const seeds = [11, 12, 13]

  test('the surrogate at the base point is the loss', () => {
    for (const seed of seeds) {
      const given = pointOf(example, seed)
      const { loss, frozen } = oracleForward(given)
      expect(Math.abs(surrogateLoss(given, frozen) - loss.loss)).toBeLessThan(1e-12 * loss.loss)
    }
  })

  test('every gradient is the surrogate’s central difference', () => {
    let checked = 0
    let skipped = 0
    for (const seed of seeds) {
      const given = pointOf(example, seed)
      const { gradients, forward } = oracleGradients(given)
      const near = Uint8Array.from(kinkDistances(given, forward.frozen), distance =>
        Number(distance < 10 * step),
      )
      const skip = spoilt(given, near)
      for (const name of Object.keys(gradients) as ParameterName[]) {
        const [values, wanted] = [given.weights[name]!, gradients[name]!]
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3)
        for (let at = 0; at < values.length; at++) {
          if (skip(name, at)) {
            skipped++
            continue
          }
          const lossAt = (value: number) =>
            surrogateLoss(
              { ...given, weights: { ...given.weights, [name]: values.with(at, value) } },
              forward.frozen,
            )
          const difference = (lossAt(values[at] + step) - lossAt(values[at] - step)) / (2 * step)
          checked++
          expect(Math.abs(difference - wanted[at]), `${name}[${at}], seed ${seed}`).toBeLessThan(
            1e-6 * largest,
          )
        }
      }
    }
    expect(checked).toBeGreaterThan(500)
    expect(skipped).toBeLessThan(0.1 * checked)
  })

  test('every parameter has a gradient', () => {
    const { gradients } = oracleGradients(pointOf(example, 11))
    for (const [name, values] of Object.entries(gradients))
      expect(
        values.some(value => value !== 0),
        name,
      ).toBe(true)
  })
})

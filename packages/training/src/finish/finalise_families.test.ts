// Every family with its defaults: the finished SAE on the model's activations against the float64 oracle of its plan on
// normalised ones, on which it was trained.

import { hookSpans, inferSae, outputsAreInputs } from '@mistudio/sae'
import { worst } from '@mistudio/sae/testing/encoder_support.ts'
import { describe, expect, test } from 'vitest'
import { normalise, normaliserKinds, normalisersOf } from '../../testing/finalise_support.ts'
import { oracleForward } from '../../testing/oracle/forward.ts'
import { scoresOf } from '../../testing/oracle/selection.ts'
import { widen } from '../../testing/oracle/weights.ts'
import { someRows, someSaeWeights } from '../../testing/suite_support.ts'
import { families } from '../families.ts'
import { completeMember } from '../member.ts'
import { steadyDynamics } from '../plan.ts'
import { finaliseSae } from './finalise.ts'

const rows = 40
/** Inputs a and b are 6 wide, predicted hook points c and d 5. */
const widthOf = (hook: string) => (hook < 'c' ? 6 : 5)
const hooksOf = {
  one: { inputs: ['a'], outputs: [] },
  in_out: { inputs: ['a'], outputs: ['c'] },
  several: { inputs: ['a', 'b'], outputs: [] },
  layers: { inputs: ['a', 'b'], outputs: ['c', 'd'] },
}

describe.each(families.map(({ name }) => name))('%s', name => {
  const family = families.find(one => one.name === name)!
  const { plan, hooks } = completeMember({
    member: {
      name,
      family: name,
      ...hooksOf[family.hooks],
      dSae: 24,
      settings: 'k' in family.fields && family.fields.k.default !== null ? { k: 4 } : {},
    },
    widthOf,
    batchSize: rows,
    totalSteps: 200,
    trainTokens: 8000,
  })

  test.each(normaliserKinds)('normalised by %s: folded equals unfolded', kind => {
    const normalisers = normalisersOf(kind, hooks)
    const weights = someSaeWeights(plan, 3)
    const raw = someRows(rows * plan.shape.dIn, 4).map(value => 1.5 * value + 0.2)
    const x = raw.slice()
    const undo = Array.from({ length: rows }, (_, r) =>
      hookSpans(hooks.inputs).map(([from, to], hook) => {
        const at = r * plan.shape.dIn
        return normalise(normalisers.inputs[hook], x.subarray(at + from, at + to))
      }),
    )
    const y = new Float64Array(rows * plan.shape.dOut)
    const wide = widen(plan, weights)
    const { activations, reconstruction, norms, frozen, pre } = oracleForward({
      plan,
      weights: wide,
      x,
      y,
      dynamics: steadyDynamics,
      dead: null,
    })
    for (let r = 0; r < rows; r++) {
      hookSpans(hooks.outputs).forEach(([from, to], hook) => {
        const at = r * plan.shape.dOut
        const back = outputsAreInputs(hooks)
          ? undo[r][hook]
          : normalise(normalisers.outputs[hook], new Float64Array(to - from))
        back(reconstruction.subarray(at + from, at + to))
      })
    }
    const threshold = plan.selection.kind === 'batchtopk' ? between(frozen.open, scores()) : null
    const sae = finaliseSae({ family: name, plan, weights, threshold, normalisers, hooks })
    const found = inferSae({ sae, x: raw })
    expect(worst(found.reconstruction, reconstruction)).toBeLessThan(1e-5)
    found.featureActs.forEach((value, i) => {
      if (value > 0 !== activations[i] > 0) throw new Error(`latent ${i % 24} of row ${Math.floor(i / 24)}`)
    })
    expect(activations.filter(value => value > 0).length).toBeGreaterThan(rows)

    function scores(): Float64Array {
      return scoresOf({ selection: plan.selection, pre, norms })
    }
  })
})

/** A threshold that selects exactly the batch's k·B largest scores. */
function between(open: Uint8Array, scores: Float64Array): number {
  const least = Math.min(...scores.filter((score, i) => open[i] === 1 && score > 0))
  const next = Math.max(0, ...scores.filter((_, i) => open[i] === 0))
  return (least + next) / 2
}

// TopK with and without AuxK, with more and with fewer dead latents than k_aux, and a row with fewer than k positive
// pre-activations, against PyTorch autograd goldens that agree with sae-lens and dictionary-learning
// (oracle/topk_gradients.py).
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '@mistudio/files'
import { expect, test } from 'vitest'
import { type AuxK, type Plan, steadyDynamics } from '../../src/plan.ts'
import { plainPlan } from '../example_plans.ts'
import { worst } from '../suite_support.ts'
import { oracleGradients } from './gradients.ts'
import { parametersOf, widen, wireNames } from './weights.ts'

const file = openSafetensors(
  fileURLToPath(new URL('../../fixtures/topk_gradients.safetensors', import.meta.url)),
)
const read = (name: string) => file.read(name).data as Float64Array
const dictionaryLearning: AuxK = {
  coefficient: 1 / 32,
  kAux: 6,
  normalisation: 'variance',
  relu: true,
  scaleByDead: false,
}
const saelens: AuxK = { coefficient: 1, kAux: 6, normalisation: 'none', relu: false, scaleByDead: true }

test.each<[string, string | null, AuxK | null]>([
  ['plain', null, null],
  ['dl', 'dead', dictionaryLearning],
  ['dl_few', 'dead_few', dictionaryLearning],
  ['saelens', 'dead', saelens],
  ['saelens_few', 'dead_few', saelens],
])('%s', (name, dead, auxK) => {
  const plan: Plan = {
    ...plainPlan({ dIn: 12, dSae: 40, dOut: 12 }),
    centred: true,
    selection: { kind: 'topk', k: 4, score: 'raw' },
    auxK,
  }
  const x = read('x')
  const given = Object.fromEntries(parametersOf(plan).map(one => [one.name, read(wireNames[one.name])]))
  const { gradients, forward } = oracleGradients({
    plan,
    weights: widen(plan, given),
    x,
    y: x,
    dynamics: steadyDynamics,
    dead: dead === null ? null : (file.read(dead).data as Uint8Array),
  })
  const scalar = (term: string) => read(`${name}.${term}`)[0]
  expect(forward.loss.mse).toBeCloseTo(scalar('mse'), 10)
  expect(forward.loss.loss).toBeCloseTo(scalar('loss'), 10)
  // The golden's term is the one before its coefficient.
  expect(forward.loss.aux).toBeCloseTo((auxK?.coefficient ?? 0) * scalar('aux'), 10)
  expect(worst(forward.activations, read(`${name}.feature_acts`))).toBeLessThan(1e-12)
  for (const { name: parameter } of parametersOf(plan))
    expect(worst(gradients[parameter]!, read(`${name}.${wireNames[parameter]}`)), parameter).toBeLessThan(
      1e-10,
    )
})

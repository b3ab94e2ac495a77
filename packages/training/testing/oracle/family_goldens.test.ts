// The oracle against PyTorch autograd on the papers' formulas, and against the peers' own code on the same weights
// (oracle/family_goldens.py): every loss term and every gradient of every family; a few steps of PyTorch's Adam.
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '@mistudio/files'
import { describe, expect, test } from 'vitest'
import type { StepLoss } from '../../src/learner.ts'
import { type Plan, steadyDynamics } from '../../src/plan.ts'
import { float32Peers, goldenPlans } from '../golden_plans.ts'
import { worst } from '../suite_support.ts'
import { adamStep, constrain } from './adam.ts'
import type { Given } from './forward.ts'
import { oracleGradients, removeParallel } from './gradients.ts'
import { parametersOf, widen, wireNames, zerosLike } from './weights.ts'

const file = openSafetensors(
  fileURLToPath(new URL('../../fixtures/family_goldens.safetensors', import.meta.url)),
)
const read = (name: string) => file.read(name).data as Float64Array
const has = (name: string) => file.tensors.has(name)
const terms: [keyof StepLoss, string][] = [
  ['loss', 'loss'],
  ['reconstruction', 'reconstruction'],
  ['sparsity', 'sparsity'],
  ['aux', 'aux'],
  ['preAct', 'pre_act'],
  ['gateAux', 'gate_aux'],
]
const relative = (found: number, wanted: number) => Math.abs(found - wanted) / Math.abs(wanted)

function goldenPoint(name: string, plan: Plan): Given {
  const x = read('x')
  const weights = widen(
    plan,
    Object.fromEntries(parametersOf(plan).map(one => [one.name, read(`${name}.in.${wireNames[one.name]}`)])),
  )
  const y = plan.shape.dOut === plan.shape.dIn ? x : read('y')
  return { plan, weights, x, y, dynamics: { ...steadyDynamics, p: 0.7 }, dead: Uint8Array.from(read('dead')) }
}

describe.each(goldenPlans)('%s', (name, plan) => {
  const { gradients, forward } = oracleGradients(goldenPoint(name, plan))

  test('has the loss terms and gradients of PyTorch', () => {
    for (const [key, wireName] of terms) {
      const found = forward.loss[key]!
      if (has(`${name}.${wireName}`))
        expect(relative(found, read(`${name}.${wireName}`)[0]), key).toBeLessThan(1e-9)
      else expect(found, key).toBe(0)
    }
    for (const parameter of parametersOf(plan)) {
      const wanted = read(`${name}.${wireNames[parameter.name]}`)
      expect(worst(gradients[parameter.name]!, wanted), parameter.name).toBeLessThan(1e-9)
    }
  })

  const peers = Object.keys(float32Peers).filter(peer => has(`${peer}.${name}.loss`))
  if (peers.length === 0) return
  test.each(peers)('has the loss and gradients of %s’s own code', peer => {
    const tolerance = float32Peers[peer].includes(name) ? 1e-6 : 1e-9
    expect(relative(forward.loss.loss, read(`${peer}.${name}.loss`)[0])).toBeLessThan(tolerance)
    for (const parameter of parametersOf(plan)) {
      const wanted = read(`${peer}.${name}.${wireNames[parameter.name]}`)
      expect(worst(gradients[parameter.name]!, wanted), parameter.name).toBeLessThan(tolerance)
    }
  })
})

test('every family that a peer trains is compared with the peer’s code', () => {
  const compared = (peer: string) =>
    goldenPlans.map(([name]) => name).filter(name => has(`${peer}.${name}.loss`))
  expect(compared('saelens')).toHaveLength(9)
  expect(compared('dictionary_learning')).toHaveLength(7)
  expect(compared('sparsify')).toHaveLength(2)
})

const trained = goldenPlans.filter(([name]) => has(`${name}.after.W_enc`))
test.each(trained)('%s has PyTorch’s weights after five steps of Adam', (name, plan) => {
  const given = goldenPoint(name, plan)
  const { weights } = given
  constrain(plan, weights)
  const moments = { first: zerosLike(weights), second: zerosLike(weights) }
  const rates = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipScale: 1 }
  for (let step = 1; step <= 5; step++) {
    const { gradients } = oracleGradients(given)
    if (plan.decoder === 'unit') removeParallel(plan, weights.wDec, gradients.wDec)
    adamStep({ weights, moments, gradients, rates, step })
    constrain(plan, weights)
  }
  for (const parameter of parametersOf(plan)) {
    const wanted = read(`${name}.after.${wireNames[parameter.name]}`)
    expect(worst(weights[parameter.name]!, wanted), parameter.name).toBeLessThan(1e-9)
  }
})
test('four families are trained by PyTorch’s Adam', () => expect(trained).toHaveLength(4))

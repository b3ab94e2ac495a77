// Warnings: each is given once when its limit is passed, with the setting to change; healthy runs get none.
import { expect, test } from 'vitest'
import { basePlan, type Plan } from '../plan.ts'
import { emptyHistory, judge, judgeActivations, type Observation } from './warnings.ts'

const topk: Plan = {
  ...basePlan({ dIn: 8, dSae: 1000, dOut: 8 }),
  centred: true,
  skip: false,
  selection: { kind: 'topk', k: 32, score: 'raw' },
  penalty: null,
  preAct: null,
  auxK: null,
  decoder: 'unit',
  deadAfterTokens: 5000,
}
const jumprelu: Plan = {
  ...topk,
  selection: { kind: 'jumprelu', bandwidth: 0.05, steToInput: false },
  penalty: { kind: 'l0', coefficient: 1 },
}
const settings = { warmUpSteps: 10, sparsityWarmUpSteps: 20, resampleEverySteps: 0 }
const healthy: Observation = {
  step: 500,
  totalSteps: 1000,
  loss: 2,
  l0: 50,
  deadLatents: 20,
  thresholds: { moved: 0.1, start: 0.1 },
}
const said = (plan: Plan, seen: Partial<Observation>, history = emptyHistory()) =>
  judge({ plan, settings, seen: { ...healthy, ...seen }, history })

test('a healthy SAE hears nothing', () => {
  expect(said(topk, {})).toEqual([])
  expect(said(jumprelu, {})).toEqual([])
})

test('L0 outside 20 … 200 is told once the warm-ups are over, with the setting that rules it', () => {
  expect(said(jumprelu, { l0: 900, step: 5 })).toEqual([])
  const [high] = said(jumprelu, { l0: 201 })
  expect(high).toMatchObject({ kind: 'l0_high', advice: expect.stringContaining('sparsity_coefficient') })
  const [low] = said(topk, { l0: 19 })
  expect(low).toMatchObject({ kind: 'l0_low', advice: expect.stringContaining('raise k') })
})

test('an L0 that races to zero is told as a collapse', () => {
  const history = emptyHistory()
  for (const [step, l0] of [
    [200, 60],
    [300, 24],
    [400, 21],
  ]) {
    expect(said(jumprelu, { step, l0 }, history)).toEqual([])
  }
  const kinds = said(jumprelu, { step: 450, l0: 9 }, history).map(({ kind }) => kind)
  expect(kinds).toEqual(['l0_low', 'l0_collapsing'])
})

test('more than a tenth of dead latents is told with their number and over how many tokens', () => {
  expect(said(topk, { deadLatents: 100 })).toEqual([])
  const [warning] = said(topk, { deadLatents: 101 })
  expect(warning.kind).toBe('dead_latents')
  expect(warning.message).toBe('101 of 1000 latents (10 %) did not fire in the last 5000 tokens')
  expect(warning.advice).toMatch(/aux_coefficient/)
  expect(said(jumprelu, { deadLatents: 500 })[0].advice).toMatch(/resample_every_steps/)
})

test('thresholds that stand still are told with the bandwidth', () => {
  const [warning] = said(jumprelu, { thresholds: { moved: 1e-6, start: 0.1 } })
  expect(warning).toMatchObject({
    kind: 'thresholds_still',
    advice: expect.stringContaining('bandwidth (now 0.05)'),
  })
})

test('a loss of three times the usual one is told; a rising one in the warm-up is not', () => {
  const history = emptyHistory()
  for (let step = 30; step < 36; step++) expect(said(topk, { step, loss: 2 }, history)).toEqual([])
  expect(said(topk, { step: 36, loss: 5.9 }, history)).toEqual([])
  expect(said(topk, { step: 37, loss: 6.1 }, history)).toMatchObject([{ kind: 'loss_spike' }])
  expect(said(topk, { step: 5, loss: 600 }, emptyHistory())).toEqual([])
})

test('nothing is said twice', () => {
  const history = emptyHistory()
  expect(said(topk, { l0: 2 }, history)).toHaveLength(1)
  expect(said(topk, { l0: 2 }, history)).toEqual([])
  expect(history.said).toMatchObject([{ kind: 'l0_low', step: 500 }])
})

test('activations far off scale are told unless they are normalised', () => {
  const at = (std: number, mean: number, normalisation: 'none' | 'token_rms' = 'none') =>
    judgeActivations({ hook: 'a', std, mean, normalisation })
  expect(at(1, 0)).toEqual([])
  expect(at(0.009, 0)).toMatchObject([{ kind: 'activations_off_scale' }])
  expect(at(101, 0)).toHaveLength(1)
  expect(at(1, -51)[0].message).toMatch(/activations of a .* mean -51/)
  expect(at(101, 0, 'token_rms')).toEqual([])
})

// The request of the start form: only what was changed, values by kind, variants, and how many SAEs they make.
import type { Families, Family, Recipe, SettingField } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { requestOf, saesOf, sweepOf } from './request.ts'
import { baseOf, changedSettings, isChanged } from './settings.ts'

const described = { label: '', help: '', unit: null, source: null, chosen: null, group: 'family' }
const number = (name: string, value: number | null): SettingField => ({
  ...described,
  ...{ name, kind: 'number', default: value, min: 0, max: null, above: null },
})
const k = number('k', 32)
const rate = number('learning_rate', null)
const norm: SettingField = {
  ...described,
  name: 'norm',
  kind: 'choice',
  default: 'none',
  choices: ['none', 'one'],
}
const widths: SettingField = {
  ...described,
  name: 'widths',
  kind: 'integers',
  default: null,
  min: 1,
  max: null,
}
const keep = number('keep_last', 1)

const family: Family = {
  name: 'topk',
  title: 'TopK',
  summary: '',
  paper: { title: '', where: '' },
  hooks: 'one',
  fields: [k, widths],
  defaults: { norm: 'one' },
}
const families: Families = {
  data: [family],
  groups: ['common'],
  member_fields: [rate, norm],
  run_fields: [number('batch_size', 1024), keep],
}
const recipe: Recipe = { name: 'paper', family: 'topk', source: '', sets: { k: 64 }, run: { keep_last: 3 } }
const draft = (changes: object = {}) => ({ family, recipe: null, typed: {}, sweep: [], ...changes })

test('a setting is the recipe’s, else the family’s, else its default', () => {
  expect([k, norm, rate].map(field => baseOf(draft(), field))).toEqual([32, 'one', null])
  expect([k, norm, keep].map(field => baseOf(draft({ recipe }), field))).toEqual([64, 'one', 3])
})

test('only what differs from that is changed and sent', () => {
  const typed = { k: '64', learning_rate: '1e-3', norm: 'one', widths: '16, 32' }
  const fields = [k, widths, rate, norm]
  expect(fields.map(field => isChanged(draft({ typed }), field))).toEqual([true, true, true, false])
  expect(changedSettings(draft({ typed }), fields)).toEqual({ k: 64, widths: [16, 32], learning_rate: 0.001 })
  expect(changedSettings(draft({ typed, recipe }), fields)).not.toHaveProperty('k')
  // Text that is no number is left for the studio to reject.
  expect(changedSettings(draft({ typed: { k: 'ten' } }), fields)).toEqual({ k: 'ten' })
})

test('a sweep has values by kind, lists between semicolons, empty rows left out', () => {
  const sweep = [
    { name: 'k', values: '16, 32' },
    { name: 'widths', values: '8,16; 8,32' },
    { name: 'd_sae', values: '1024' },
    { name: 'norm', values: ' ' },
  ]
  expect(sweepOf(sweep, [k, widths, norm])).toEqual({
    k: [16, 32],
    widths: [
      [8, 16],
      [8, 32],
    ],
    d_sae: [1024],
  })
})

test('SAEs are layers × hook types × variants; joint families make one of all layers', () => {
  const of = (hooks: Family['hooks']) =>
    saesOf({ family: { ...family, hooks }, layers: 3, hookTypes: 2, sweep: { k: [1, 2], d_sae: [8, 16] } })
  expect(of('one')).toEqual({ places: 6, variants: 4, saes: 24 })
  expect(of('in_out').saes).toBe(24)
  expect(of('several').saes).toBe(8)
})

test('the request carries the recipe by name and an output only where one is predicted', () => {
  const of = (hooks: Family['hooks']) =>
    requestOf({
      draft: draft({ family: { ...family, hooks }, recipe, typed: { k: '8', keep_last: '5' } }),
      families,
      layers: [2, 0],
      hookTypes: ['resid_mid'],
      outputHookType: 'mlp_out',
      dSae: 512,
      contextSize: 128,
      top: { train_tokens: 1000, batch_size: 64, seed: 0 },
    })
  expect(of('in_out')).toMatchObject({
    layers: [0, 2],
    output_hook_type: 'mlp_out',
    hyperparameters: { family: 'topk', recipe: 'paper', settings: { k: 8 }, run: { keep_last: 5 } },
  })
  expect(of('one').output_hook_type).toBe(null)
})

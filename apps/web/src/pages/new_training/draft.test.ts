import type { Families, Family, Model, Recipe, SettingField } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { changedDraft, type Draft, type DraftChange, firstDraft } from './draft.ts'

const number = (name: string): SettingField => ({
  ...{ name, label: '', help: '', unit: null, source: null, chosen: null, group: 'family' },
  ...{ kind: 'number', default: 1, min: 0, max: null, above: null },
})
const family = (name: string, fields: string[]): Family => ({
  ...{ name, title: '', summary: '', paper: { title: '', where: '' }, hooks: 'one' },
  ...{ fields: fields.map(number), defaults: {} },
})
const [standard, topk] = [family('standard', ['lambda']), family('topk', ['k'])]
const families: Families = {
  data: [standard, topk],
  groups: ['common'],
  member_fields: [number('learning_rate')],
  run_fields: [number('batch_size'), number('keep_last')],
}
const recipe: Recipe = { name: 'paper', family: 'standard', source: '', sets: {}, run: { batch_size: 64 } }
const model = (id: string, changes: Partial<Model> = {}): Model => ({
  ...{ id, name: id, source: 'local', path: '', architecture: 'llama', status: 'ready', params_count: 1 },
  ...{ layers: 4, d_model: 8, vocab_size: 9, context_length: 16, hook_types: ['resid_post', 'mlp_out'] },
  ...{ error_message: null, created_at: '' },
  ...changes,
})
const models = [model('broken', { status: 'error' }), model('good')]

const after = (...changes: DraftChange[]): Draft =>
  changes.reduce<Draft>(
    (draft, change) => changedDraft({ draft, change, families }),
    firstDraft({ models, families }),
  )
const typed = (name: string, text: string | undefined): DraftChange => ({ kind: 'setting', name, text })
const swept = (...names: string[]): DraftChange => ({
  kind: 'sweep',
  sweep: names.map(name => ({ name, values: '1, 2' })),
})

test('a draft begins with a usable model and TopK', () => {
  expect(after()).toMatchObject({ modelId: 'good', family: { name: 'topk' }, recipe: null, typed: {} })
})

test('a setting is kept by its name, at the top or below, until it is reset', () => {
  const both = after(typed('k', '8'), typed('d_sae', '64'))
  expect([both.typed, both.top]).toEqual([{ k: '8' }, { d_sae: '64' }])
  expect(after(typed('k', '8'), typed('k', undefined)).typed).toEqual({})
})

test('another family drops the recipe and whatever it does not know', () => {
  const { recipe: left, ...draft } = after(
    { kind: 'recipe', recipe },
    typed('lambda', '5'),
    typed('learning_rate', '1e-3'),
    typed('keep_last', '2'),
    swept('lambda', 'learning_rate', 'd_sae'),
    { kind: 'family', family: topk },
  )
  expect(left).toBe(null)
  expect(draft.typed).toEqual({ learning_rate: '1e-3', keep_last: '2' })
  expect(draft.sweep.map(({ name }) => name)).toEqual(['learning_rate', 'd_sae'])
})

test('a recipe brings its family and its batch size, and clears what was typed over them', () => {
  const draft = after(typed('k', '8'), typed('batch_size', '32'), typed('d_sae', '64'), {
    kind: 'recipe',
    recipe,
  })
  expect(draft).toMatchObject({ family: { name: 'standard' }, recipe: { name: 'paper' }, typed: {} })
  expect(draft.top).toEqual({ d_sae: '64' })
  expect(changedDraft({ draft, change: { kind: 'recipe', recipe: null }, families }).family).toBe(standard)
})

test('another model drops layers and hook types that it lacks', () => {
  const places: Draft['places'] = { layers: [0, 3], hooks: ['resid_post', 'mlp_out'], output: 'mlp_out' }
  const small = model('small', { layers: 2, hook_types: ['resid_post'] })
  const draft = after({ kind: 'places', places }, { kind: 'model', model: small })
  expect(draft.modelId).toBe('small')
  expect(draft.places).toEqual({ layers: [0], hooks: ['resid_post'], output: 'mlp_out' })
})

// Ids, hook points and problems: the parts of every entity.
import { expect, test } from 'vitest'
import {
  featureId,
  featureIdOf,
  hookPointOf,
  hookTypes,
  type IdKind,
  idOf,
  idPrefixes,
  pageOf,
  paging,
  parseFeatureId,
  parseHookPoint,
  problem,
  share,
} from './base.ts'

const tail = '0123456789abcdefghij'

test('an id is of one kind alone', () => {
  const kinds = Object.keys(idPrefixes) as IdKind[]
  expect(new Set(Object.values(idPrefixes)).size).toBe(kinds.length)
  for (const kind of kinds) {
    const id = `${idPrefixes[kind]}_${tail}`
    expect(kinds.filter(other => idOf(other).safeParse(id).success)).toEqual([kind])
  }
})

test.each([
  ['no prefix', tail],
  ['too short', `sae_${tail.slice(1)}`],
  ['too long', `sae_${tail}k`],
  ['upper case', `sae_${tail.toUpperCase()}`],
  ['a path', 'sae_../../../../etc/pass'],
  ['a line break after it', `sae_${tail}\n`],
  ['something before it', ` sae_${tail}`],
])('an id with %s is none', (_, id) => {
  expect(idOf('sae').safeParse(id).success).toBe(false)
})

test("a feature's id gives back its extraction and its number", () => {
  const extractionId = `extr_${tail}`
  for (const feature of [0, 7, 16_383, 99_999_999]) {
    const id = featureIdOf({ extractionId, feature })
    expect(featureId.parse(id)).toBe(id)
    expect(parseFeatureId(id)).toEqual({ extractionId, feature })
  }
  for (const wrong of [`feat_${tail}`, `feat_${tail}_07`, `feat_${tail}_-1`, `extr_${tail}_1`]) {
    expect(featureId.safeParse(wrong).success, wrong).toBe(false)
  }
})

test('a hook point gives back its layer and hook type', () => {
  for (const hookType of hookTypes) {
    for (const layer of [0, 11]) {
      expect(parseHookPoint(hookPointOf({ layer, hookType }))).toEqual({ layer, hookType })
    }
  }
  expect(hookPointOf({ layer: 3, hookType: 'mlp_out' })).toBe('blocks.3.hook_mlp_out')
})

test.each([
  'blocks.3.attn.hook_z',
  'ln_final.hook_normalized',
  'blocks.x.hook_mlp_out',
  'blocks.3.hook_mlp',
  '',
])('a hook point that is not of the residual stream or its parts has no hook type: %s', hookPoint => {
  expect(parseHookPoint(hookPoint)).toBeUndefined()
})

test('pages: texts of a query become numbers within bounds, unknown fields are refused', () => {
  expect(paging.parse({})).toEqual({ limit: 50, offset: 0 })
  expect(paging.parse({ limit: '7', offset: '14' })).toEqual({ limit: 7, offset: 14 })
  for (const wrong of [{ limit: '0' }, { limit: '501' }, { offset: '-1' }, { limit: 'all' }, { page: '2' }]) {
    expect(paging.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false)
  }
  const page = { data: [0.5], pagination: { limit: 50, offset: 0, total: 1, has_more: false } }
  expect(pageOf(share).parse(page)).toEqual(page)
  expect(pageOf(share).safeParse({ ...page, data: [1.5] }).success).toBe(false)
})

test('a problem says what was wrong where, and nothing else', () => {
  const told = {
    type: 'invalid',
    title: 'k cannot be used',
    status: 400,
    field: 'k',
    found: '9',
    expected: '8',
  }
  expect(problem.parse(told)).toEqual(told)
  expect(problem.safeParse({ ...told, stack: 'at …' }).success).toBe(false)
})

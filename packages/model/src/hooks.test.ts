// Names of hook points and the short names that stand for them.
import { expect, test } from 'vitest'
import { llama } from './architectures/llama.ts'
import { configReader } from './config_reader.ts'
import { aliasOfHook, hookOfAlias, resolveHook } from './hooks.ts'
import { shapesOf } from './runtimes/shapes.ts'

const raw = {
  num_hidden_layers: 2,
  hidden_size: 8,
  num_attention_heads: 3,
  head_dim: 4,
  intermediate_size: 20,
  vocab_size: 10,
}
const points = shapesOf(llama.read({ reader: configReader({ file: '', raw }), modelType: 'llama' })).hooks

test('names in the order of the forward pass, with widths', () => {
  const names = points.map(point => point.name)
  expect(names.slice(0, 7)).toEqual([
    'blocks.0.hook_resid_pre',
    'blocks.0.attn.hook_z',
    'blocks.0.hook_attn_out',
    'blocks.0.hook_resid_mid',
    'blocks.0.mlp.hook_post',
    'blocks.0.hook_mlp_out',
    'blocks.0.hook_resid_post',
  ])
  expect(names).toHaveLength(15)
  expect(names.at(-1)).toBe('ln_final.hook_normalized')
  expect(resolveHook(points, 'blocks.1.attn.hook_z')).toEqual({
    name: 'blocks.1.attn.hook_z',
    width: 12,
    layer: 1,
  })
  expect(resolveHook(points, 'blocks.1.mlp.hook_post').width).toBe(20)
  expect(resolveHook(points, 'ln_final.hook_normalized')).toMatchObject({ width: 8, layer: null })
})

test('short names', () => {
  expect(hookOfAlias({ alias: 'residual', layer: 3 })).toBe('blocks.3.hook_resid_post')
  expect(hookOfAlias({ alias: 'mlp', layer: 0 })).toBe('blocks.0.hook_mlp_out')
  expect(hookOfAlias({ alias: 'attention', layer: 0 })).toBe('blocks.0.hook_attn_out')
  expect(aliasOfHook('blocks.3.hook_resid_post')).toEqual({ alias: 'residual', layer: 3 })
  expect(aliasOfHook('blocks.3.hook_resid_mid')).toBeUndefined()
  expect(aliasOfHook('ln_final.hook_normalized')).toBeUndefined()
})

test('an unknown hook lists the hooks there are', () => {
  expect(() => resolveHook(points, 'blocks.2.hook_resid_post')).toThrow(
    /unknown hook point; field: hook; found: blocks\.2\.hook_resid_post; expected: one of blocks\.\{0\.\.1\}\.hook_resid_pre, .*hook_mlp_out.*, ln_final\.hook_normalized/,
  )
})

test('hooks that only some layers have are listed with them', () => {
  const some = points.filter(({ name, layer }) => layer !== 1 || !name.endsWith('resid_mid'))
  expect(() => resolveHook([...some, { name: 'blocks.3.own', width: 1, layer: 3 }], 'nothing')).toThrow(
    /blocks\.\{0\.\.1\}\.hook_attn_out, blocks\.\{0\.\.0\}\.hook_resid_mid, .*ln_final\.hook_normalized, blocks\.\{3\.\.3\}\.own$/,
  )
})

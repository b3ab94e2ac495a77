import type { Sae } from '@mistudio/contract'
import { expect, test } from 'vitest'
import { saeSettings, shownSettings } from './sae_settings.ts'

const sae = (values: Partial<Sae>) =>
  ({ hook_type: 'resid_post', layer: 4, architecture: 'topk', d_sae: 4096, ...values }) as Sae

test('each setting once, in order; what is not known is left out', () => {
  expect(saeSettings([sae({}), sae({ layer: 2, hook_type: 'mlp_out' }), sae({})])).toEqual({
    hook_types: ['resid_post', 'mlp_out'],
    layers: [2, 4],
    architectures: ['topk'],
    d_sae: [4096],
  })
  expect(saeSettings([sae({ layer: null, hook_type: null })])).toEqual({
    architectures: ['topk'],
    d_sae: [4096],
  })
  expect(saeSettings([])).toEqual({})
})

test('settings for reading, whatever a template holds', () => {
  expect(shownSettings({ hook_types: ['resid_post', 'mlp_out'], d_sae: [4096], note: 'mine' })).toEqual([
    { name: 'hook types', value: 'resid_post, mlp_out' },
    { name: 'latents', value: '4096' },
    { name: 'note', value: 'mine' },
  ])
})

// The words of `sae train` as members and settings: recipes, --set and --sweep, and what contradicts each other.

import { InputError } from '@mistudio/files'
import { familyNames, familyOf, recipes } from '@mistudio/training'
import { describe, expect, test } from 'vitest'
import { type TrainingWords, trainingSettings } from './training_settings.ts'

const words = (given: Partial<TrainingWords>): TrainingWords => ({
  hooks: ['blocks.1.hook_resid_post'],
  hooksOut: [],
  dSae: 64,
  set: [],
  sweep: [],
  run: { train_tokens: 1000, seed: 0 },
  ...given,
})
const read = (given: Partial<TrainingWords>) => trainingSettings(words(given))
/** Hook points that a family can use. */
function hooksFor(family: string): Pick<TrainingWords, 'hooks' | 'hooksOut'> {
  const { hooks } = familyOf(family)
  return {
    hooks: hooks === 'several' || hooks === 'layers' ? ['a', 'b'] : ['a'],
    hooksOut: hooks === 'in_out' ? ['c'] : hooks === 'layers' ? ['c', 'd'] : [],
  }
}
async function refusal(given: Partial<TrainingWords>): Promise<string> {
  const error: unknown = await read(given).catch(thrown => thrown)
  if (error instanceof InputError) return error.message
  throw error ?? new Error('it was taken')
}

describe('the words of a training', () => {
  test('without a family are TopK, with the options of before', async () => {
    const { members, settings } = await read({
      hooks: ['a', 'b'],
      k: 8,
      learningRate: 1e-3,
      run: { train_tokens: 1000, seed: 4, batch_size: 32, checkpoint_every_steps: 5 },
    })
    expect(members).toMatchObject([
      {
        name: 'a',
        family: 'topk',
        inputs: ['a'],
        outputs: [],
        dSae: 64,
        settings: { k: 8, learning_rate: 1e-3 },
      },
      { name: 'b', inputs: ['b'] },
    ])
    expect(settings).toEqual({ trainTokens: 1000, seed: 4, batchSize: 32, checkpointEverySteps: 5 })
  })

  test('--set reaches the SAE and the run, each by its own type', async () => {
    const { members, settings } = await read({
      family: 'jumprelu',
      set: [
        ['lambda', '0.5'],
        ['normalisation', 'layer_norm'],
        ['keep-last', '3'],
        ['early_stop_window_tokens', '500'],
      ],
    })
    expect(members[0].settings).toEqual({ sparsity_coefficient: 0.5, normalisation: 'layer_norm' })
    expect(settings).toEqual({ trainTokens: 1000, seed: 0, keepLast: 3, earlyStopWindowTokens: 500 })
  })

  test('--sweep makes an SAE of each combination, named by its values', async () => {
    const { members } = await read({
      sweep: [
        ['k', '4,8'],
        ['d_sae', '32,64'],
      ],
    })
    expect(members.map(({ name, dSae, settings }) => [name, dSae, settings.k])).toEqual([
      ['blocks.1.hook_resid_post-k=4-d_sae=32', 32, 4],
      ['blocks.1.hook_resid_post-k=4-d_sae=64', 64, 4],
      ['blocks.1.hook_resid_post-k=8-d_sae=32', 32, 8],
      ['blocks.1.hook_resid_post-k=8-d_sae=64', 64, 8],
    ])
  })

  test('pair hook points of a transcoder and join those of a crosscoder', async () => {
    const pairs = await read({ family: 'transcoder', hooks: ['a', 'b'], hooksOut: ['c', 'd'] })
    expect(pairs.members.map(({ inputs, outputs }) => [inputs, outputs])).toEqual([
      [['a'], ['c']],
      [['b'], ['d']],
    ])
    const joint = await read({ family: 'crosscoder', hooks: ['a', 'b'] })
    expect(joint.members.map(({ inputs }) => inputs)).toEqual([['a', 'b']])
    const layers = await read({ family: 'cross_layer_transcoder', hooks: ['a', 'b'], hooksOut: ['c', 'd'] })
    expect(layers.members).toHaveLength(1)
  })

  test.each(recipes.map(({ name }) => name))(
    'recipe %s gives its family, and a single setting goes on top',
    async name => {
      const { family, sets } = recipes.find(recipe => recipe.name === name)!
      const { members } = await read({ recipe: name, ...hooksFor(family), set: [['adam_epsilon', '1e-7']] })
      expect(familyNames).toContain(members[0].family)
      expect(members[0].family).toBe(family)
      expect(members[0].settings.adam_epsilon).toBe(1e-7)
      if ('learning_rate' in sets) expect(members[0].settings.learning_rate).toBe(sets.learning_rate)
    },
  )

  test.each<[string, Partial<TrainingWords>, RegExp]>([
    ['a family that does not exist', { family: 'topkk' }, /no family topkk.*field: family.*expected: .*topk/],
    [
      'a recipe that does not exist',
      { recipe: 'topk_opena' },
      /no recipe topk_opena.*expected: .*topk_openai/,
    ],
    [
      'a recipe of another family',
      { family: 'gated', recipe: 'topk_openai' },
      /field: --family and --recipe; found: gated and topk_openai/,
    ],
    [
      'an option and --set of one setting',
      { k: 4, set: [['k', '8']] },
      /given twice; field: --set k and --k; found: 8 and 4/,
    ],
    [
      '--set twice',
      {
        set: [
          ['k', '8'],
          ['k', '9'],
        ],
      },
      /given twice; field: --set k; found: 9/,
    ],
    ['a value out of range', { set: [['k', '0']] }, /field: k; found: 0; expected: a whole number/],
    ['a word for a number', { family: 'standard', set: [['lambda', 'much']] }, /field: sparsity_coefficient/],
    ['a sweep of the run', { sweep: [['batch_size', '1,2']] }, /cannot be swept; field: --sweep batch_size/],
    ['a sweep with a value twice', { sweep: [['k', '4,4']] }, /field: k; found: 4, 4/],
    ['a transcoder without --hook-out', { family: 'transcoder' }, /hook_out/],
  ])('refuse %s and name the fields', async (_, given, message) => {
    expect(await refusal(given)).toMatch(message)
  })
})

// A member of a run: names, contradictions, what families choose, and how settings change from step to step.
import { describe, expect, it } from 'vitest'
import { drawnLevels } from './families/matryoshka.ts'
import { annealedP } from './families/p_anneal.ts'
import { families, familyOf } from './families.ts'
import { memberFields } from './family.ts'
import { type FieldTable, type Settings, wireName } from './fields.ts'
import { completeMember, settingsOf } from './member.ts'

const widths: Record<string, number> = { narrow: 32 }

function completed(options: {
  family: string
  settings?: Settings
  inputs?: string[]
  outputs?: string[]
  dSae?: number
  totalSteps?: number
}) {
  const { family, settings = {}, inputs = ['a'], outputs = [], dSae = 512, totalSteps = 1000 } = options
  return completeMember({
    member: { name: 'm', family, inputs, outputs, dSae, settings },
    widthOf: hook => widths[hook] ?? 64,
    batchSize: 1024,
    totalSteps,
    trainTokens: totalSteps * 1024,
    known: ['batch_size', 'train_tokens'],
  })
}

describe('every family', () => {
  const every = families.map(family => [family.name, family] as const)

  it.each(every)('%s describes each of its fields for a reader', (_, { fields }) => {
    for (const [key, field] of Object.entries(fields)) {
      expect([key, field.label.length > 0, field.help.length > 10]).toEqual([key, true, true])
      expect([key, field.source !== undefined]).toEqual([key, true])
      if (field.default === null) expect([key, field.chosen !== undefined]).toEqual([key, true])
    }
  })

  it('shares settings that are all described too', () => {
    for (const [key, field] of Object.entries(memberFields as FieldTable)) {
      expect([key, field.source !== undefined && field.help.length > 4]).toEqual([key, true])
    }
  })

  it.each(every)('%s has no field with the name of a shared one', (_, { fields }) => {
    const shared = new Set(Object.keys(memberFields))
    expect(Object.keys(fields).filter(key => shared.has(key))).toEqual([])
  })

  it.each(every)(
    '%s is trained with nothing left open, and what is described trains the same',
    (name, family) => {
      const hooks = {
        one: [['a'], []],
        in_out: [['a'], ['b']],
        several: [['a', 'b'], []],
        layers: [
          ['a', 'b'],
          ['c', 'd'],
        ],
      }[family.hooks]
      const ask = (settings: Settings) =>
        completed({ family: name, inputs: hooks[0], outputs: hooks[1], settings })
      const { described, plan, settings } = ask({})
      for (const value of Object.values(settings)) expect(value).not.toBeNull()
      const names = [...Object.keys(memberFields), ...Object.keys(family.fields)].map(wireName)
      const again = ask(Object.fromEntries(names.map(key => [key, described[key] as Settings[string]])))
      expect(again.plan).toEqual(plan)
      expect(again.described).toEqual(described)
    },
  )
})

describe('shared settings', () => {
  it('say how each is chosen, and carry the defaults of the family', () => {
    expect(settingsOf(familyOf('gated')).adamBeta1.default).toBe(0)
    expect(settingsOf(familyOf('topk')).adamBeta1.default).toBe(0.9)
    expect(completed({ family: 'gated' }).settings.adamBeta1).toBe(0)
    expect(completed({ family: 'gated', settings: { adam_beta1: 0.5 } }).settings.adamBeta1).toBe(0.5)
  })

  it('follow the length of the run: rate, warm-up, window of death', () => {
    const long = completed({ family: 'topk', totalSteps: 100_000, dSae: 2 ** 14 }).settings
    expect(long).toMatchObject({ learningRate: 2e-4, warmUpSteps: 1000, deadAfterTokens: 10_000_000 })
    const short = completed({ family: 'topk', totalSteps: 1000, dSae: 2 ** 14 }).settings
    expect(short).toMatchObject({ learningRate: 8e-4, warmUpSteps: 100, deadAfterTokens: 102_400 })
    expect(completed({ family: 'standard' }).settings.learningRate).toBe(1e-3)
    expect(completed({ family: 'standard', totalSteps: 100_000 }).settings.learningRate).toBe(5e-5)
  })
})

describe('contradictions name both fields', () => {
  const cases: [string, Parameters<typeof completed>[0], RegExp][] = [
    ['k with an L1 family', { family: 'standard', settings: { k: 32 } }, /k and family/],
    [
      'k with an L1 crosscoder',
      { family: 'crosscoder', inputs: ['a', 'b'], settings: { k: 8 } },
      /k and activation/,
    ],
    [
      'λ with a topk transcoder',
      { family: 'transcoder', outputs: ['b'], settings: { sparsity_coefficient: 1 } },
      /sparsity_coefficient and activation/,
    ],
    ['k above d_sae', { family: 'topk', settings: { k: 513 } }, /k and d_sae/],
    [
      'prefixes above d_sae',
      { family: 'matryoshka', settings: { prefixes: [64, 1024] } },
      /prefixes and d_sae/,
    ],
    [
      'prefixes and shares',
      { family: 'matryoshka', settings: { prefixes: [64], prefix_fractions: [0.5] } },
      /prefixes and prefix_fractions/,
    ],
    [
      'prefixes that are drawn and given',
      { family: 'matryoshka', settings: { prefixes: [64], prefix_sampling: 'pareto' } },
      /prefixes and prefix_sampling/,
    ],
    [
      'weights of other widths',
      { family: 'matryoshka', settings: { level_weights: [1, 1] } },
      /level_weights and prefixes/,
    ],
    [
      'more drawn widths than latents',
      { family: 'matryoshka', settings: { prefix_sampling: 'pareto' }, dSae: 8 },
      /sampled_prefixes and d_sae/,
    ],
    [
      'a target L0 above d_sae',
      { family: 'jumprelu', settings: { sparsity_loss: 'target_l0', target_l0: 513 } },
      /target_l0 and d_sae/,
    ],
    [
      'a target L0 that nothing reads',
      { family: 'jumprelu', settings: { target_l0: 32 } },
      /target_l0 and sparsity_loss/,
    ],
    [
      'two widths in one crosscoder',
      { family: 'crosscoder', inputs: ['a', 'narrow'] },
      /a and narrow.*64 and 32/,
    ],
    ['a transcoder with one hook', { family: 'transcoder' }, /hook_out and family/],
    [
      'a transcoder from a hook to itself',
      { family: 'skip_transcoder', outputs: ['a'] },
      /hook_out and family/,
    ],
    ['an SAE with another output', { family: 'topk', outputs: ['b'] }, /hook_out and family/],
    ['a crosscoder of one hook', { family: 'crosscoder' }, /hook and family/],
    [
      'layers without their outputs',
      { family: 'cross_layer_transcoder', inputs: ['a', 'b'], outputs: ['c'] },
      /hook_out and hook/,
    ],
    [
      'latents that layers cannot share',
      { family: 'cross_layer_transcoder', inputs: ['a', 'b'], outputs: ['c', 'd'], dSae: 511 },
      /d_sae and hook/,
    ],
    [
      'a zero decoder of unit rows',
      { family: 'topk', settings: { decoder_init: 'zero', encoder_init: 'random' } },
      /decoder and decoder_init/,
    ],
    [
      'an encoder tied to a zero decoder',
      { family: 'standard', settings: { decoder_init: 'zero' } },
      /encoder_init and decoder_init/,
    ],
    [
      'an encoder tied to rows of another width',
      {
        family: 'transcoder',
        outputs: ['narrow'],
        settings: { encoder_init: 'tied', decoder_init: 'sphere' },
      },
      /encoder_init and hook_out/,
    ],
    [
      'annealing that ends first',
      { family: 'p_anneal', settings: { anneal_start_step: 900, anneal_end_step: 800 } },
      /anneal_start_step and anneal_end_step/,
    ],
    [
      'one active subspace for many layers',
      {
        family: 'cross_layer_transcoder',
        inputs: ['a', 'b'],
        outputs: ['c', 'd'],
        settings: { decoder_init: 'active_subspace' },
      },
      /decoder_init and family/,
    ],
  ]
  it.each(cases)('%s', (_, options, message) => {
    expect(() => completed(options)).toThrow(message)
    expect(() => completed(options)).toThrow(/contradict each other/)
  })
})

describe('names that do not exist', () => {
  it('are refused with the nearest settings, of the run too', () => {
    expect(() => completed({ family: 'topk', settings: { learning_rat: 1 } })).toThrow(
      /expected: learning_rate/,
    )
    expect(() => completed({ family: 'topk', settings: { batch_siz: 1 } })).toThrow(/batch_size/)
    expect(() => familyOf('jump_relu')).toThrow(/there is no family jump_relu.*jumprelu/)
  })

  it('and values out of bounds are refused with the field and the bounds', () => {
    expect(() => completed({ family: 'jumprelu', settings: { bandwidth: 0 } })).toThrow(/bandwidth.*above 0/)
    expect(() => completed({ family: 'matryoshka', settings: { prefixes: [64, 64] } })).toThrow(/must ascend/)
  })
})

describe('λ follows the scale of the activations', () => {
  const lambda = (family: string, settings: Settings) =>
    completed({ family, settings }).described.sparsity_coefficient as number

  it('times √d for an L1 and d for an L0 where the norm is √d', () => {
    expect(lambda('standard', {})).toBeCloseTo(0.04 * 8, 10)
    expect(lambda('standard', { normalisation: 'unit_mean_square' })).toBe(0.04)
    expect(lambda('jumprelu', {})).toBe(0.001)
    expect(lambda('jumprelu', { normalisation: 'expected_average' })).toBeCloseTo(0.001 * 64, 10)
  })

  it('and thresholds, bandwidths and the scale of tanh with it', () => {
    const jump = (settings: Settings) => completed({ family: 'jumprelu', settings }).described
    expect(jump({})).toMatchObject({ initial_threshold: 0.001, bandwidth: 0.001 })
    expect(jump({ normalisation: 'expected_average' }).initial_threshold).toBeCloseTo(0.008, 10)
    const tanh = { sparsity_loss: 'tanh' } as const
    expect(jump({ ...tanh, normalisation: 'expected_average' })).toMatchObject({
      initial_threshold: 0.1,
      bandwidth: 2,
      tanh_scale: 4,
    })
    expect(jump(tanh)).toMatchObject({ initial_threshold: 0.0125, bandwidth: 0.25, tanh_scale: 32 })
  })
})

describe('dynamics', () => {
  it('let λ rise over the sparsity warm-up', () => {
    const { dynamicsAt } = completed({ family: 'standard', settings: { sparsity_warm_up_steps: 10 } })
    expect(dynamicsAt(0, 0).sparsity).toBeCloseTo(0.1, 10)
    expect(dynamicsAt(9, 0).sparsity).toBe(1)
    expect(dynamicsAt(500, 0).sparsity).toBe(1)
  })

  it('let λ of a tanh penalty rise over the whole run', () => {
    const { dynamicsAt } = completed({ family: 'jumprelu', settings: { sparsity_loss: 'tanh' } })
    expect(dynamicsAt(499, 0).sparsity).toBeCloseTo(0.5, 10)
  })

  it('take p down a staircase that ends at p_end', () => {
    const schedule = { from: 100, to: 1000, start: 1, end: 0.2, values: 9 }
    const values = Array.from({ length: 1200 }, (_, step) => annealedP(schedule, step))
    expect(values[0]).toBe(1)
    expect(values[100]).toBe(1)
    expect(values.at(-1)).toBeCloseTo(0.2, 10)
    expect(new Set(values.map(value => value.toFixed(9))).size).toBe(9)
    expect(values.every((value, i) => i === 0 || value <= values[i - 1])).toBe(true)
  })

  it('take k down from k_start', () => {
    const { dynamicsAt } = completed({
      family: 'topk',
      settings: { k: 16, k_start: 64, k_anneal_steps: 100 },
    })
    expect([0, 50, 100, 900].map(step => dynamicsAt(step, 0).k)).toEqual([64, 40, 16, 16])
    expect(dynamicsAt(0, 0).levels).toBeUndefined()
  })

  it('draw prefixes as a pure function of seed and step, the full width among them', () => {
    const { dynamicsAt } = completed({ family: 'matryoshka', settings: { prefix_sampling: 'log_uniform' } })
    const levels = dynamicsAt(7, 3).levels!
    expect(levels).toEqual(dynamicsAt(7, 3).levels)
    expect(levels).not.toEqual(dynamicsAt(8, 3).levels)
    expect(levels).not.toEqual(dynamicsAt(7, 4).levels)
    expect(levels).toHaveLength(10)
    expect(levels.at(-1)).toEqual({ width: 512, weight: 1 })
    expect(levels.every(({ width }, i) => i === 0 || width > levels[i - 1].width)).toBe(true)
  })

  it.each([
    ['pareto', (share: number) => Math.sqrt(share)],
    ['log_uniform', (share: number) => 1 + Math.log(share) / Math.log(4096)],
  ] as const)('draw %s prefixes with the density they promise', (sampling, cumulative) => {
    const dSae = 4096
    const widths = Array.from({ length: 4000 }, (_, step) =>
      drawnLevels({ sampling, count: 2, least: 1, dSae, step, seed: 0 }),
    ).map(levels => levels[0].width)
    for (const share of [1 / 64, 1 / 8, 1 / 2]) {
      const below = widths.filter(width => width <= share * dSae).length / widths.length
      expect(Math.abs(below - cumulative(share))).toBeLessThan(0.03)
    }
  })
})

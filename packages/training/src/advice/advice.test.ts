// Advice: the estimate is what the learner allocates, what does not fit is refused with sizes that do, and λ is
// checked in every normalisation by the same argument.
import { withWorkerPool } from '@mistudio/tensor'
import { describe, expect, test } from 'vitest'
import { families } from '../families.ts'
import { learnerBytes } from '../learner/block.ts'
import { completeMember } from '../member.ts'
import { membersOf } from '../members.ts'
import { initialWeights } from '../start/initial_weights.ts'
import { type AdviceOptions, adviseTraining, parametersOf } from './advice.ts'
import { adviseSparsity, scaleOf, targetL0 } from './advice_sparsity.ts'
import { probeMachine } from './probe.ts'

const hooks = ['blocks.0.hook_resid_mid', 'blocks.1.hook_resid_mid']
const outs = ['blocks.0.hook_mlp_out', 'blocks.1.hook_mlp_out']

function complete(options: { family: string; dSae?: number; settings?: object; batchSize?: number }) {
  const { family, dSae = 512, settings = {}, batchSize = 256 } = options
  const { hooks: use } = families.find(({ name }) => name === family)!
  const joint = use === 'several' || use === 'layers'
  const members = membersOf({
    family,
    inputs: joint ? hooks : [hooks[0]],
    outputs: use === 'layers' ? outs : use === 'in_out' ? [outs[0]] : [],
    dSae,
    settings: { ...settings },
  })
  return members.map(member =>
    completeMember({ member, widthOf: () => 64, batchSize, totalSteps: 100, trainTokens: 100 * batchSize }),
  )
}

const run = {
  batchSize: 256,
  totalSteps: 100,
  windowContexts: 64,
  contextSize: 128,
  storedDtype: 'float32',
  keepLast: 1,
  keepBest: false,
} as const

function advise(changes: Partial<AdviceOptions> & { dSae?: number }) {
  const { dSae = 65_536, ...rest } = changes
  return adviseTraining({
    members: complete({ family: 'topk', dSae }),
    run,
    modelBytes: 40e6,
    workers: 2,
    machine: { memoryBytes: 8e9, diskBytes: 100e9 },
    probe: null,
    replan: ({ dSaeScale, batchSize }) => complete({ family: 'topk', dSae: dSae * dSaeScale, batchSize }),
    ...rest,
  })
}

describe('what a training takes', () => {
  test.each(families.map(({ name }) => name))('parameters of %s are those of its weights', family => {
    for (const { plan, settings, config } of complete({ family })) {
      const weights = initialWeights({ plan, settings, config, seed: 0 })
      const numbers = Object.values(weights).reduce((sum, array) => sum + array.length, 0)
      expect(parametersOf(plan)).toBe(numbers)
    }
  })

  test('memory is the learners’ own, the window and the model; disk a checkpoint more than are kept', () => {
    const { memory, disk, saes, parameters, steps, fits } = advise({ dSae: 1024 })
    const [{ plan }] = complete({ family: 'topk', dSae: 1024 })
    expect(memory.learners).toBe(learnerBytes({ plan, batchSize: 256, workers: 2 }))
    expect(memory.window).toBe(64 * 128 * (64 * 4 + 16))
    expect(memory.total).toBeGreaterThan(memory.model + memory.window + memory.learners)
    expect({ saes, steps, fits }).toEqual({ saes: 1, steps: 100, fits: true })
    expect(parameters).toBe(2 * 64 * 1024 + 1024 + 64)
    expect(disk.saes).toBe(4 * parameters)
    expect(disk.checkpoints).toBe(2 * (3 * disk.saes + 8 * 1024))
  })

  test('what does not fit is refused, with the largest d_sae, batch and number of SAEs that would', () => {
    const free = 1e9
    const machine = { memoryBytes: free, diskBytes: 100e9 }
    const dSae = 262_144
    const members = [...complete({ family: 'topk', dSae: 8192 }), ...complete({ family: 'topk', dSae })]
    const refused = advise({ machine, members, dSae })
    expect(refused.fits).toBe(false)
    expect(refused.refusal).toMatch(/of memory and .* is free/)
    const of = (field: string) => refused.suggestions.find(one => one.field === field)?.value
    expect(of('members')).toBe(1)
    const width = of('d_sae')!
    // It fits, but twice as many do not.
    expect(advise({ machine, dSae: width }).fits).toBe(true)
    expect(advise({ machine, dSae: 2 * width }).fits).toBe(false)
  })

  test('a full disk is refused as well', () => {
    const refused = advise({ dSae: 65_536, machine: { memoryBytes: 8e9, diskBytes: 50e6 } })
    expect(refused.refusal).toMatch(/of disk and .* is free/)
    expect(refused.suggestions.map(({ field }) => field)).toContain('d_sae')
  })
})

describe('λ', () => {
  const l1 = (coefficient: number) => ({
    penalty: { kind: 'l1', coefficient, normWeighted: true } as const,
  })
  const l0 = (coefficient: number) => ({ penalty: { kind: 'l0', coefficient } as const })

  test('grows with the width’s root for L1 and with the width for L0, and leads to the L0 it is for', () => {
    const scale = (width: number) => scaleOf({ normalisation: 'expected_average', width })
    const at = (plan: ReturnType<typeof l1 | typeof l0>, width: number) =>
      adviseSparsity({ plan, scale: scale(width) })!
    expect(at(l1(1), 4096).suggested! / at(l1(1), 256).suggested! / 4).toBeCloseTo(1, 1)
    expect(at(l0(1), 4096).suggested! / at(l0(1), 256).suggested! / 16).toBeCloseTo(1, 1)
    for (const plan of [l1(at(l1(1), 512).suggested!), l0(at(l0(1), 512).suggested!)]) {
      const { predictedL0, warning } = at(plan, 512)
      expect(predictedL0! / targetL0).toBeCloseTo(1, 1)
      expect(warning).toBe(null)
    }
  })

  test('is the same choice whether activations are scaled to √d or to 1', () => {
    const of = (normalisation: string, plan: ReturnType<typeof l1 | typeof l0>) =>
      adviseSparsity({ plan, scale: scaleOf({ normalisation, width: 400 }) })!.suggested!
    // x is 20 times larger: an L1 against a squared error scales as x, an L0 as its square.
    expect(of('expected_average', l1(1)) / of('unit_mean_square', l1(1))).toBeCloseTo(20, 0)
    expect(of('expected_average', l0(1)) / of('unit_mean_square', l0(1)) / 400).toBeCloseTo(1, 1)
    expect(of('token_rms', l1(1))).toBe(of('layer_norm', l1(1)))
  })

  test('without normalisation is suggested from measured activations alone, of which b_dec takes the mean', () => {
    const plan = l1(1)
    expect(adviseSparsity({ plan, scale: scaleOf({ normalisation: 'none', width: 400 }) })).toMatchObject({
      suggested: null,
      warning: null,
    })
    const measured = { meanSquare: 100, variance: 25, meanNorm: 9 }
    const raw = adviseSparsity({ plan, scale: scaleOf({ normalisation: 'none', width: 400, measured }) })!
    expect(raw.suggested).toBeCloseTo((2 / 3) * Math.sqrt(25 / targetL0), 2)
    const centred = scaleOf({ normalisation: 'expected_average', width: 400, measured })!
    expect(centred.variance).toBe(100)
  })

  test('is warned of below 0.3 and above 3 times the suggestion, with the L0 it would lead to', () => {
    const scale = scaleOf({ normalisation: 'expected_average', width: 512 })
    const { suggested } = adviseSparsity({ plan: l1(1), scale })!
    const warningAt = (factor: number) => adviseSparsity({ plan: l1(factor * suggested!), scale })!.warning
    expect([0.25, 0.35, 2.8, 3.2].map(factor => warningAt(factor) !== null)).toEqual([
      true,
      false,
      false,
      true,
    ])
    expect(warningAt(10)).toMatch(/sparsity_coefficient .* times the suggested .* leads to L0 near 0\.6/)
    const bad = adviseTraining({
      members: complete({ family: 'standard', settings: { sparsity_coefficient: 100 } }),
      run,
      modelBytes: 0,
      workers: 2,
      machine: { memoryBytes: 8e9, diskBytes: 8e9 },
      probe: null,
      replan: () => [],
    })
    expect(bad.warnings).toMatchObject([
      { field: 'sparsity_coefficient', suggestion: { field: 'sparsity_coefficient' } },
    ])
    expect(bad.reasons[0]).toContain('E‖x‖² ≈ d = 64 by expected_average')
  })

  test.each(families.map(({ name }) => name))('the default of %s is not warned of', family => {
    const { warnings } = adviseTraining({
      members: complete({ family }),
      run,
      modelBytes: 0,
      workers: 2,
      machine: { memoryBytes: 8e9, diskBytes: 8e9 },
      probe: null,
      replan: () => [],
    })
    expect(warnings).toEqual([])
  })
})

test('the probe measures products and a step of each kind, from which time is reckoned', async () => {
  const probe = await withWorkerPool({ threads: 2 }, pool =>
    probeMachine({
      pool,
      seconds: 0.2,
      small: ({ dSae, batchSize }) => [
        ...complete({ family: 'topk', dSae: Math.min(dSae, 512), batchSize }),
        ...complete({ family: 'topk', dSae: Math.min(dSae, 512), batchSize }),
      ],
    }),
  )
  expect(probe.gflops).toBeGreaterThan(0)
  expect(probe.captureTokensPerSecond).toBe(null)
  expect(probe.steps).toHaveLength(1)
  const time = (dSae: number) => advise({ dSae, probe, members: complete({ family: 'topk', dSae }) }).time!
  expect(time(1024).capture_seconds).toBe(0)
  expect(time(2048).step_seconds).toBeGreaterThan(time(1024).step_seconds)
  expect(time(1024).total_seconds).toBeCloseTo(100 * time(1024).step_seconds, 6)
})

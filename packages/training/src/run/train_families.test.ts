// Every family through one loop: it learns, and a run resumed from a checkpoint at an odd step ends with the same bits.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTrainSetup, type TrainSetup, weightsOf } from '../../testing/train_support.ts'
import { familyNames } from '../families.ts'
import type { TrainMember } from '../member.ts'
import type { TrainProgress } from './train_progress.ts'

let setup: TrainSetup
beforeAll(async () => {
  setup = await openTrainSetup()
})
afterAll(() => setup.close())

const learningRate = 3e-3
const member = (
  family: string,
  settings: TrainMember['settings'],
  hooks: Partial<TrainMember> = {},
): TrainMember => ({
  name: family,
  family,
  inputs: ['a'],
  outputs: [],
  dSae: 40,
  settings: { learning_rate: learningRate, dead_after_tokens: 600, ...settings },
  ...hooks,
})

const members: TrainMember[] = [
  member('standard', {
    sparsity_coefficient: 0.1,
    normalisation: 'expected_average',
    resample_every_steps: 7,
  }),
  member('gated', { sparsity_coefficient: 0.1, normalisation: 'token_rms' }),
  member('topk', { k: 4, normalisation: 'layer_norm' }),
  member('batchtopk', { k: 4, normalisation: 'whiten' }),
  member('jumprelu', { sparsity_coefficient: 0.1, normalisation: 'expected_average' }),
  member('matryoshka', { k: 4 }),
  member('p_anneal', { sparsity_coefficient: 0.1 }),
  member('transcoder', { k: 4 }, { outputs: ['b'] }),
  member('skip_transcoder', { k: 4 }, { outputs: ['b'] }),
  member('crosscoder', { sparsity_coefficient: 0.1 }, { inputs: ['a', 'b'] }),
  member(
    'cross_layer_transcoder',
    { sparsity_coefficient: 0.01 },
    { inputs: ['a', 'b'], outputs: ['b', 'c'] },
  ),
]

test('the list holds every family', () => {
  expect(members.map(({ family }) => family)).toEqual(familyNames)
})

describe.each(members.map(one => [one.family, one] as const))('%s', (family, one) => {
  test('learns and resumes to the bit from every checkpoint', async () => {
    const whole = join(setup.folder, family)
    const events: TrainProgress[] = []
    const kept: string[] = []
    const settings = { trainTokens: 64 * 45, checkpointEverySteps: 15 }
    const result = await setup.run({
      out: whole,
      members: [one],
      settings,
      onEvent: event => {
        events.push(event)
        if (event.event !== 'training:checkpoint') return
        kept.push(join(setup.folder, `${family}-${event.step}`))
        cpSync(join(whole, 'checkpoints'), join(kept.at(-1)!, 'checkpoints'), { recursive: true })
      },
    })
    expect(result.status).toBe('completed')
    const { fvu: first } = events[0].saes[0]
    const { fvu: last, dead_latents, warnings: _, ...figures } = events.at(-1)!.saes[0]
    expect(last).toBeLessThan(first!)
    expect(dead_latents).toBeTypeOf('number')
    expect(figures.loss).toBeCloseTo(
      figures.reconstruction! + figures.sparsity! + figures.aux! + figures.pre_act! + figures.gate_aux!,
      4,
    )
    expect(kept).toHaveLength(2)
    for (const out of kept) {
      await setup.run({ out, members: [one], settings, resume: true })
      expect(weightsOf(out, family)).toEqual(weightsOf(whole, family))
    }
  })
})

test('members of every family train together, each with the bits it has alone', async () => {
  const out = join(setup.folder, 'together')
  const settings = { trainTokens: 64 * 45, checkpointEverySteps: 15 }
  let asked = 0
  const stopped = await setup.run({ out, members, settings, stopped: () => asked++ === 22 })
  expect(stopped.saes).toHaveLength(members.length)
  const result = await setup.run({ out, members, settings, resume: true })
  expect(result.saes.map(({ status }) => status)).toEqual(members.map(() => 'completed'))
  for (const { name } of members) {
    expect(weightsOf(out, name).equals(weightsOf(join(setup.folder, name), name)), name).toBe(true)
  }
})

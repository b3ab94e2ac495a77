// The training loop over a forward pass that looks activations up in a table: order, resume, stop, divergence.
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { loadSae } from '@mistudio/sae'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  dIn,
  failing,
  openTrainSetup,
  type TrainSetup,
  topk,
  weightsOf,
} from '../../testing/train_support.ts'
import { readCheckpoint } from './checkpoint.ts'
import type { TrainOptions } from './run_plan.ts'
import type { TrainProgress } from './train_progress.ts'

let setup: TrainSetup
let runs = 0
beforeAll(async () => {
  setup = await openTrainSetup()
})
afterAll(() => setup.close())

const members = [topk('a'), { ...topk('b wide', 'b', { k: 3 }), dSae: 70 }]
const names = members.map(({ name }) => name)
const run = (given: Partial<Parameters<TrainSetup['run']>[0]> & { out: string }) =>
  setup.run({ members, ...given })
const place = (name: string) => join(setup.folder, `${name}-${runs++}`)

describe('a training', () => {
  test('runs to its end, lowers FVU and saves every SAE', async () => {
    const events: TrainProgress[] = []
    const out = place('run')
    const result = await run({
      out,
      members: members.map(member => ({ ...member, settings: { ...member.settings, learning_rate: 3e-3 } })),
      settings: { trainTokens: 20_000 },
      onEvent: event => events.push(event),
    })
    expect(result.status).toBe('completed')
    expect(result.step).toBe(Math.ceil(20_000 / 64))
    const first = events[0].saes[0].fvu!
    const last = events.at(-1)!
    expect(last.event).toBe('training:completed')
    expect(last.step).toBe(last.total_steps)
    expect(last.saes[0].fvu).toBeLessThan(0.8 * first)
    expect(last.saes[1].l0).toBeLessThanOrEqual(3)
    expect(loadSae({ dir: join(out, 'b wide') }).shape).toEqual({ dIn, dSae: 70, dOut: dIn })
    expect(existsSync(join(out, 'checkpoints'))).toBe(false)
    expect(result.saes.map(sae => [sae.name, sae.status, sae.dir])).toEqual([
      ['a', 'completed', 'a'],
      ['b wide', 'completed', 'b wide'],
    ])
  })

  test('gives the same bits twice', async () => {
    const [one, two, other] = [place('one'), place('two'), place('other')]
    await run({ out: one })
    await run({ out: two })
    for (const name of names) expect(weightsOf(one, name)).toEqual(weightsOf(two, name))
    await run({ out: other, settings: { seed: 8 } })
    expect(weightsOf(other, 'a')).not.toEqual(weightsOf(one, 'a'))
  })

  test('gives each SAE the bits it has when it trains alone', async () => {
    const [both, alone] = [place('both'), place('alone')]
    await run({ out: both })
    await run({ out: alone, members: members.slice(1) })
    expect(weightsOf(alone, 'b wide')).toEqual(weightsOf(both, 'b wide'))
  })

  test.each([1, 5, 12, 31])('stopped after %i steps and resumed ends with the same bits', async steps => {
    const [whole, out] = [place('whole'), place('stopped')]
    await run({ out: whole })
    let asked = 0
    const stopped = await run({ out, stopped: () => asked++ >= steps })
    expect(stopped.status).toBe('stopped')
    expect(stopped.step).toBe(steps)
    expect(existsSync(join(out, 'a', 'cfg.json'))).toBe(true)
    const resumed = await run({ out, resume: true })
    expect(resumed.status).toBe('completed')
    for (const name of names) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
  })

  test('counts the tokens that the outlier rule drops once, also over a resume inside a window', async () => {
    const counted = async (out: string, given: { resume?: boolean; stopAfter?: number } = {}) => {
      const { resume, stopAfter = Number.POSITIVE_INFINITY } = given
      let [asked, dropped] = [0, {}]
      await run({
        out,
        resume,
        settings: { outlierNormMultiple: 1.2 },
        stopped: () => asked++ >= stopAfter,
        onEvent: event => {
          dropped = event.outlier_tokens
        },
      })
      return dropped as Record<string, number>
    }
    const whole = await counted(place('whole'))
    expect(whole.a).toBeGreaterThan(0)
    for (const steps of [1, 7, 12]) {
      const out = place('stopped')
      const before = await counted(out, { stopAfter: steps })
      expect(before.a).toBeLessThan(whole.a)
      expect(await counted(out, { resume: true })).toEqual(whole)
    }
  })

  test('paused keeps a checkpoint and saves no SAE; resumed it ends with the same bits', async () => {
    const [whole, out] = [place('whole'), place('paused')]
    await run({ out: whole })
    let asked = 0
    const paused = await run({ out, control: () => ({ kind: asked++ < 9 ? 'run' : 'pause' }) })
    expect(paused).toMatchObject({ status: 'paused', step: 9, saes: [] })
    expect(existsSync(join(out, 'a'))).toBe(false)
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['9'])
    await run({ out, resume: true })
    for (const name of names) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
  })

  test('resumed from any checkpoint, as after a kill, ends with the same bits', async () => {
    const whole = place('whole')
    const kept: string[] = []
    await run({
      out: whole,
      settings: { checkpointEverySteps: 5 },
      onEvent: ({ event, step }) => {
        if (event !== 'training:checkpoint') return
        kept.push(place(`at-${step}`))
        cpSync(join(whole, 'checkpoints'), join(kept.at(-1)!, 'checkpoints'), { recursive: true })
      },
    })
    expect(kept.length).toBe(6)
    for (const out of kept) {
      await run({ out, resume: true })
      for (const name of names) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
    }
  })

  test('that is complete is not done again', async () => {
    const out = place('run')
    const first = await run({ out })
    const again = await run({ out, resume: true, onEvent: () => expect.unreachable() })
    expect(again).toEqual(first)
  })

  test('refuses to go on from a record that is damaged', async () => {
    const out = place('run')
    await run({ out })
    const file = join(out, 'training.json')
    const { saes: _, ...rest } = JSON.parse(readFileSync(file, 'utf8'))
    for (const text of ['{', 'null', '{}', JSON.stringify(rest), JSON.stringify({ ...rest, saes: {} })]) {
      writeFileSync(file, text)
      const error: unknown = await run({ out, resume: true }).catch(thrown => thrown)
      expect(error).toBeInstanceOf(InputError)
      expect((error as InputError).message).toMatch(/record of the training cannot be read.*training\.json/)
    }
  })

  test('refuses a folder that holds a run', async () => {
    const out = place('run')
    await run({ out, stopped: () => true })
    await expect(run({ out })).rejects.toThrow(/already holds a training/)
  })

  test('refuses a resume with other settings and lists all of them', async () => {
    const out = place('run')
    await run({ out, stopped: () => true })
    const changed = [topk('a', 'a', { k: 5 }), members[1]]
    const failure = run({
      out,
      resume: true,
      members: changed,
      settings: { batchSize: 32 },
      modelName: 'other',
    })
    const error: unknown = await failure.catch(thrown => thrown)
    if (!(error instanceof InputError)) throw error
    const { field, found, expected } = error.details
    for (const name of ['batch_size', 'members.a.k', 'model']) expect(field).toContain(name)
    expect(found).toMatch(/batch_size 32/)
    expect(expected).toMatch(/batch_size 64/)
    expect(found).toMatch(/members\.a\.k 5/)
    expect(expected).toMatch(/members\.a\.k 4/)
  })

  test('takes other checkpoint settings at a resume', async () => {
    const out = place('run')
    await run({ out, stopped: () => true })
    const resumed = await run({ out, resume: true, settings: { checkpointEverySteps: 3, keepLast: 4 } })
    expect(resumed.status).toBe('completed')
  })

  test('ends with step, SAE and checkpoint named when the loss of every SAE is NaN', async () => {
    const out = place('run')
    const failure = run({ out, members: [topk('a')], createLearner: failing({ dSae: 40, at: 16 }) })
    await expect(failure).rejects.toThrow(
      /^a: training diverged: the loss is NaN, .* at step 16; the last good checkpoint is at step 14$/,
    )
    expect(readCheckpoint({ out })!.state.step).toBe(14)
    // A resume retries from there.
    const whole = place('whole')
    await run({ out: whole, members: [topk('a')] })
    const resumed = await run({ out, members: [topk('a')], resume: true })
    expect(resumed.status).toBe('completed')
    expect(weightsOf(out, 'a')).toEqual(weightsOf(whole, 'a'))
  })

  test.each<[string, Partial<TrainOptions>, RegExp]>([
    ['k above d_sae', { members: [{ ...topk('a', 'a', { k: 50 }), dSae: 4 }] }, /^k and d_sae$/],
    ['no SAE', { members: [] }, /^hook$/],
    ['fewer tokens than a batch', { settings: { trainTokens: 9999, batchSize: 1024 } }, /^batch_size$/],
    ['two SAEs of one name', { members: [topk('a'), topk('a')] }, /^name$/],
    ['two SAEs whose files would be one', { members: [topk('a b'), topk('a_b')] }, /^name$/],
    ['an SAE named like the folder of checkpoints', { members: [topk('checkpoints')] }, /^name$/],
    ['an SAE whose name leads out of the folder', { members: [topk('../a')] }, /^name$/],
    ['a learning rate of 0', { members: [topk('a', 'a', { learning_rate: 0 })] }, /^learning_rate$/],
    ['a setting of the family misspelt', { members: [topk('a', 'a', { kk: 3 })] }, /^kk$/],
    [
      'a target FVU without a window',
      { settings: { trainTokens: 999, earlyStopFvu: 0.1 } },
      /^early_stop_fvu, early_stop_window_tokens$/,
    ],
    [
      'rows of an output normalised one by one',
      {
        members: [
          { ...topk('a', 'a', { normalisation: 'token_rms' }), family: 'transcoder', outputs: ['b'] },
        ],
      },
      /^normalisation, hook_out$/,
    ],
  ])('refuses %s and names the field', async (_, options, field) => {
    const error = await run({ out: place('bad'), ...options }).catch(thrown => thrown)
    expect(error).toBeInstanceOf(InputError)
    expect((error as InputError).details.field).toMatch(field)
  })
})

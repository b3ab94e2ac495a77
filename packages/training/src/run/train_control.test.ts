// One SAE of a run may end, stop or fail by itself; checkpoints are kept by rule, finalised and retried from.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { liveSource } from '@mistudio/capture'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failing, openTrainSetup, type TrainSetup, topk, weightsOf } from '../../testing/train_support.ts'
import type { TrainMember } from '../member.ts'
import { listCheckpoints } from './checkpoint.ts'
import { finaliseCheckpoint } from './train_finalise.ts'
import type { TrainProgress } from './train_progress.ts'
import { retrySae } from './train_retry.ts'

let setup: TrainSetup
let runs = 0
beforeAll(async () => {
  setup = await openTrainSetup()
})
afterAll(() => setup.close())

const place = (name: string) => join(setup.folder, `${name}-${runs++}`)
const wide: TrainMember = { ...topk('wide', 'b'), dSae: 56 }
const batchtopk: TrainMember = { ...topk('batch'), family: 'batchtopk' }
/** Loss NaN at step 16 of the wide one. */
const createLearner = failing({ dSae: 56, at: 16 })

describe('an SAE that fails', () => {
  test('fails alone, with step and reason; the others end with the bits they have without it', async () => {
    const [out, alone] = [place('failed'), place('alone')]
    const events: TrainProgress[] = []
    const result = await setup.run({
      out,
      members: [topk('a'), wide],
      createLearner,
      onEvent: event => events.push(event),
    })
    expect(result.status).toBe('completed')
    const [good, bad] = result.saes
    expect(good).toMatchObject({ status: 'completed', step: 32, dir: 'a' })
    expect(bad).toMatchObject({ status: 'failed', step: 16, dir: null, checkpoint: 14 })
    expect(bad.error).toMatch(/the loss is NaN.*at step 16/)
    expect(existsSync(join(out, 'wide'))).toBe(false)
    await setup.run({ out: alone, members: [topk('a')] })
    expect(weightsOf(out, 'a')).toEqual(weightsOf(alone, 'a'))
    const told = events.at(-1)!.saes[1]
    expect(told).toMatchObject({ name: 'wide', status: 'failed', error: bad.error })
    // The checkpoint it can be retried from outlives the run.
    expect(listCheckpoints(out)).toEqual([14])
  })

  test.each(['checkpoint', 'start'] as const)(
    'is tried again from the %s and ends as if it had not failed',
    async from => {
      const [out, whole] = [place('failed'), place('whole')]
      const members = [topk('a'), wide]
      await setup.run({ out, members, createLearner })
      await setup.run({ out: whole, members })
      const before = weightsOf(out, 'a')
      const result = await retrySae({ ...setup.options({ out, members }), name: 'wide', from })
      expect(result.saes.map(({ name, status }) => [name, status])).toEqual([
        ['a', 'completed'],
        ['wide', 'completed'],
      ])
      expect(weightsOf(out, 'wide')).toEqual(weightsOf(whole, 'wide'))
      expect(weightsOf(out, 'a')).toEqual(before)
      expect(existsSync(join(out, 'retries', 'wide'))).toBe(false)
      expect(JSON.parse(readFileSync(join(out, 'training.json'), 'utf8')).saes[1].status).toBe('completed')
      const again = retrySae({ ...setup.options({ out, members }), name: 'wide', from })
      await expect(again).rejects.toThrow(/the SAE is complete; field: retry; found: wide/)
    },
  )

  test('goes on where a try was stopped', async () => {
    const [out, whole] = [place('failed'), place('whole')]
    const members = [topk('a'), wide]
    await setup.run({ out, members, createLearner })
    await setup.run({ out: whole, members })
    const again = { name: 'wide', from: 'start' } as const
    let asked = 0
    const stopped = () => asked++ >= 20
    const first = await retrySae({ ...setup.options({ out, members, stopped }), ...again })
    expect(first.status).toBe('stopped')
    const steps: number[] = []
    const onEvent = ({ step }: TrainProgress) => steps.push(step)
    const result = await retrySae({ ...setup.options({ out, members, onEvent }), ...again })
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(20)
    expect(result.saes[1]).toMatchObject({ status: 'completed', step: 32 })
    expect(weightsOf(out, 'wide')).toEqual(weightsOf(whole, 'wide'))
  })

  test('is tried again with other settings, and an unknown name is answered with the nearest', async () => {
    const out = place('failed')
    await setup.run({ out, members: [topk('a'), wide], createLearner })
    const calmer = { ...wide, settings: { ...wide.settings, learning_rate: 1e-5 } }
    const options = setup.options({ out, members: [topk('a'), calmer] })
    await expect(retrySae({ ...options, name: 'wider', from: 'start' })).rejects.toThrow(/no SAE wider.*wide/)
    const result = await retrySae({ ...options, name: 'wide', from: 'checkpoint' })
    expect(result.saes[1]).toMatchObject({ status: 'completed', step: 32 })
  })
})

describe('an SAE', () => {
  test('is stopped and saved alone while the others go on, also over a resume', async () => {
    const [out, whole] = [place('stopped'), place('whole')]
    const members = [topk('a'), wide, batchtopk]
    await setup.run({ out: whole, members })
    let asked = 0
    const control = () => {
      asked++
      if (asked === 6) return { kind: 'stop_sae', name: 'wide' } as const
      return asked === 12 ? ({ kind: 'pause' } as const) : ({ kind: 'run' } as const)
    }
    const paused = await setup.run({ out, members, control })
    expect(paused.saes).toMatchObject([{ name: 'wide', status: 'stopped', step: 5 }])
    expect(existsSync(join(out, 'wide', 'cfg.json'))).toBe(true)
    const result = await setup.run({ out, members, resume: true })
    expect(result.saes.map(({ status, step }) => [status, step])).toEqual([
      ['completed', 32],
      ['stopped', 5],
      ['completed', 32],
    ])
    for (const name of ['a', 'batch']) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
  })

  test('ends early when its FVU no longer falls, at the same step after a resume; the others go on', async () => {
    const [out, whole] = [place('early'), place('whole')]
    const still = topk('still', 'a', { learning_rate: 1e-9 })
    const members = [still, wide, batchtopk]
    const settings = { earlyStopWindowTokens: 64 * 6, earlyStopMinGain: 0.02 }
    const result = await setup.run({ out: whole, members, settings })
    const [first] = result.saes
    expect(first).toMatchObject({ status: 'completed', early: { kind: 'plateau' } })
    expect(first.step).toBeLessThan(32)
    expect(first.step % 6).toBe(0)
    expect(result.step).toBe(32)
    let asked = 0
    await setup.run({ out, members, settings, stopped: () => asked++ === 9 })
    const resumed = await setup.run({ out, members, settings, resume: true })
    expect(resumed.saes).toEqual(result.saes)
    for (const { name } of members) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
  })

  test('ends early when its FVU reaches the target', async () => {
    const settings = {
      trainTokens: 64 * 300,
      earlyStopWindowTokens: 640,
      earlyStopMinGain: 0,
      earlyStopFvu: 0.55,
    }
    const quick = topk('a', 'a', { learning_rate: 3e-3 })
    const result = await setup.run({ out: place('target'), members: [quick], settings })
    expect(result.step).toBeLessThan(300)
    expect(result.saes[0].early).toMatchObject({ kind: 'target' })
    expect(result.saes[0].early!.fvu).toBeLessThanOrEqual(0.55)
  })
})

describe('checkpoints', () => {
  test('newest ones and the best are kept while it runs, all the kept at the end if asked', async () => {
    const out = place('kept')
    const steps: number[][] = []
    await setup.run({
      out,
      members: [topk('a')],
      settings: { checkpointEverySteps: 5, keepLast: 2, keepAtEnd: true },
      onEvent: ({ event }) => {
        if (event === 'training:checkpoint') steps.push(listCheckpoints(out))
      },
    })
    expect(steps).toEqual([[5], [5, 10], [10, 15], [15, 20], [20, 25], [25, 30]])
    expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(['25', '30'])
  })

  test('stay within the disk budget, and one that does not fit is refused before it is written', async () => {
    const out = place('budget')
    await setup.run({ out, members: [topk('a')], settings: { keepAtEnd: true } })
    const bytes = readdirSync(join(out, 'checkpoints', '28')).reduce(
      (sum, file) => sum + statSync(join(out, 'checkpoints', '28', file)).size,
      0,
    )
    const tight = place('tight')
    const settings = { keepAtEnd: true, keepLast: 9, diskBudgetBytes: Math.round(2.5 * bytes) }
    await setup.run({ out: tight, members: [topk('a')], settings })
    expect(listCheckpoints(tight)).toEqual([21, 28])
    const failure = setup.run({ out: place('none'), members: [topk('a')], settings: { diskBudgetBytes: 99 } })
    await expect(failure).rejects.toThrow(/does not fit the disk budget; field: disk_budget_bytes; found: 99/)
  })

  test('any of them is finalised: the SAEs have the bits of a run stopped there', async () => {
    const [out, stopped] = [place('run'), place('stopped')]
    const members = [topk('a'), batchtopk]
    await setup.run({ out, members, settings: { keepLast: 9, keepAtEnd: true } })
    let asked = 0
    await setup.run({ out: stopped, members, stopped: () => asked++ === 21 })
    const { pool } = setup
    const activations = liveSource(setup.options({ out, members }) as never)
    const result = await finaliseCheckpoint({ pool, run: out, step: 21, activations })
    expect(result).toMatchObject({ step: 21, dir: join(out, 'finalised-21') })
    for (const name of ['a', 'batch']) expect(weightsOf(result.dir, name)).toEqual(weightsOf(stopped, name))
    const [, batch] = result.saes
    expect(batch.threshold).toMatchObject({ ema: expect.any(Number), calibrated: expect.any(Number) })
    // Without the training tokens the running threshold is kept.
    const bare = await finaliseCheckpoint({ pool, run: out, into: place('bare') })
    expect(bare.step).toBe(28)
    expect(bare.saes[1].threshold).toMatchObject({ calibrated: null })
    await expect(finaliseCheckpoint({ pool, run: out, step: 22 })).rejects.toThrow(
      /no such checkpoint.*found: 22; expected: one of 7, 14, 21, 28/,
    )
    await expect(finaliseCheckpoint({ pool, run: place('empty') })).rejects.toThrow(/has no checkpoint/)
  })
})

test('variants of one setting train in one run', async () => {
  const members = [2, 4, 8].map(k => topk(`a-k=${k}`, 'a', { k }))
  const result = await setup.run({ out: place('sweep'), members })
  expect(result.saes.map(({ dir, l0 }) => [dir, l0])).toEqual([
    ['a-k=2', 2],
    ['a-k=4', 4],
    ['a-k=8', 8],
  ])
  const fvus = result.saes.map(({ fvu }) => fvu!)
  expect(fvus[0]).toBeGreaterThan(fvus[1])
  expect(fvus[1]).toBeGreaterThan(fvus[2])
})

test('warnings come once with an event, with what to change', async () => {
  const events: TrainProgress[] = []
  const settings = { checkpointEverySteps: 4 }
  await setup.run({
    out: place('warned'),
    members: [topk('a')],
    settings,
    onEvent: event => events.push(event),
  })
  const warnings = events.flatMap(({ saes }) => saes[0].warnings)
  expect(warnings.map(({ kind }) => kind)).toEqual(['l0_low'])
  expect(warnings[0].advice).toMatch(/raise k/)
})

test('the calibrated threshold of BatchTopK gives mean L0 = k over training tokens', async () => {
  const settings = { trainTokens: 64 * 100, calibrationTokens: 800 }
  const result = await setup.run({ out: place('calibrated'), members: [batchtopk], settings })
  const { threshold } = result.saes[0]
  expect(threshold!.tokens).toBeGreaterThanOrEqual(800)
  expect(Math.abs(threshold!.l0! / 4 - 1)).toBeLessThan(0.01)
  expect(threshold!.calibrated).not.toBe(threshold!.ema)
})

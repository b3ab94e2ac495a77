// The training loop over a forward pass that looks activations up in a table: order, resume, stop, divergence.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InputError, type Lanes, openLanes } from '@mistudio/tensor'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadSae } from './formats/saelens.ts'
import type { ContextSource } from './sources.ts'
import { createTable, randomContexts, type Table } from './table_forward.ts'
import { type TrainOptions, trainSaes } from './train.ts'
import type { TrainProgress } from './train_progress.ts'
import { createActivationWindow } from './window.ts'

const dIn = 16
const vocabulary = 200
const contextSize = 10
const contextsPerCall = 3
let lanes: Lanes
let table: Table
let folder: string
beforeAll(async () => {
  lanes = await openLanes({ count: 2 })
  table = await createTable({ lanes, vocabulary, dIn, hooks: ['a', 'b'], contextSize })
})
afterAll(() => lanes.close())
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistudio-train-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const source = randomContexts({ vocabulary, contextSize, contexts: 90 })

const run = (options: Partial<TrainOptions> & { out: string }) =>
  trainSaes({
    lanes,
    forward: table.forward,
    contextsPerCall,
    source,
    modelName: 'table',
    datasets: ['random'],
    members: [
      { name: 'a', hook: 'a', dSae: 40, config: { k: 4, deadAfterTokens: 300 } },
      { name: 'b wide', hook: 'b', dSae: 70, config: { k: 3, deadAfterTokens: 300 } },
    ],
    ...options,
    settings: {
      trainTokens: 2000,
      batchSize: 64,
      windowTokens: 300,
      checkpointEverySteps: 5,
      normalisation: 'expected_average',
      ...options.settings,
    },
  })

const weightsOf = (out: string, name: string) => readFileSync(join(out, name, 'sae_weights.safetensors'))

describe('a training', () => {
  test('runs to its end, lowers FVU and saves every SAE', async () => {
    const events: TrainProgress[] = []
    const out = join(folder, 'run')
    const result = await run({
      out,
      settings: { trainTokens: 20_000, learningRate: 3e-3 },
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
    expect(existsSync(join(out, 'checkpoint'))).toBe(false)
  })

  test('gives the same bits twice', async () => {
    await run({ out: join(folder, 'one') })
    await run({ out: join(folder, 'two') })
    for (const name of ['a', 'b wide'])
      expect(weightsOf(join(folder, 'one'), name)).toEqual(weightsOf(join(folder, 'two'), name))
    await run({ out: join(folder, 'other'), settings: { trainTokens: 2000, seed: 8 } })
    expect(weightsOf(join(folder, 'other'), 'a')).not.toEqual(weightsOf(join(folder, 'one'), 'a'))
  })

  test.each([1, 5, 12, 31])('stopped after %i steps and resumed ends with the same bits', async steps => {
    const whole = join(folder, 'whole')
    await run({ out: whole })
    const out = join(folder, 'stopped')
    let asked = 0
    const stopped = await run({ out, stopped: () => asked++ >= steps })
    expect(stopped.status).toBe('stopped')
    expect(stopped.step).toBe(steps)
    expect(existsSync(join(out, 'a', 'cfg.json'))).toBe(true)
    const resumed = await run({ out, resume: true })
    expect(resumed.status).toBe('completed')
    for (const name of ['a', 'b wide']) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
  })

  test('resumed from any checkpoint, as after a kill, ends with the same bits', async () => {
    const whole = join(folder, 'whole')
    const kept: string[] = []
    await run({
      out: whole,
      onEvent: ({ event, step }) => {
        if (event !== 'training:checkpoint') return
        kept.push(join(folder, `at-${step}`))
        cpSync(join(whole, 'checkpoint'), join(kept.at(-1)!, 'checkpoint'), { recursive: true })
      },
    })
    expect(kept.length).toBe(6)
    for (const out of kept) {
      await run({ out, resume: true })
      for (const name of ['a', 'b wide']) expect(weightsOf(out, name)).toEqual(weightsOf(whole, name))
    }
  })

  test('that is complete is not done again', async () => {
    const out = join(folder, 'run')
    const first = await run({ out })
    const again = await run({ out, resume: true, onEvent: () => expect.unreachable() })
    expect(again).toEqual(first)
  })

  test('refuses a folder that holds a run, and a resume with other settings', async () => {
    const out = join(folder, 'run')
    await run({ out, stopped: () => true })
    await expect(run({ out })).rejects.toThrow(/already holds a training/)
    await expect(run({ out, resume: true, settings: { trainTokens: 2000, batchSize: 32 } })).rejects.toThrow(
      /batchSize.*found: 32.*expected: 64/,
    )
  })

  test('ends with step, SAE and checkpoint named when a loss is NaN', async () => {
    const poisoned: ContextSource = {
      ...source,
      read(options) {
        source.read(options)
        if (options.first > 60) options.ids[1] = vocabulary
      },
    }
    // The squares of the row behind the vocabulary overflow; a context of the third window reads it.
    table.rows.fill(1e30, vocabulary * dIn)
    const out = join(folder, 'run')
    const failure = run({ out, source: poisoned, settings: { trainTokens: 2000, normalisation: 'none' } })
    await expect(failure).rejects.toThrow(
      /the loss of a is (NaN|Infinity) at step \d+; the last good checkpoint is .*checkpoint, of step (5|10)$/,
    )
    expect(existsSync(join(out, 'checkpoint', 'state.json'))).toBe(true)
  })

  test.each<[string, Partial<TrainOptions>, string]>([
    ['k above d_sae', { members: [{ name: 'a', hook: 'a', dSae: 4, config: { k: 5 } }] }, 'k'],
    ['no SAE', { members: [] }, 'hook'],
    ['fewer tokens than a batch', { settings: { trainTokens: 9999, batchSize: 1024 } }, 'batch_size'],
    [
      'two SAEs of one name',
      { members: [1, 2].map(() => ({ name: 'a', hook: 'a', dSae: 9, config: { k: 5 } })) },
      'name',
    ],
    ['a learning rate of 0', { settings: { trainTokens: 99, learningRate: 0 } }, 'learning_rate'],
  ])('refuses %s and names the field', async (_, options, field) => {
    const error = await run({ out: join(folder, 'bad'), ...options }).catch(thrown => thrown)
    expect(error).toBeInstanceOf(InputError)
    expect((error as InputError).details.field).toBe(field)
  })
})

test('a window holds each usable token once, in an order that its number alone decides', async () => {
  const open = () =>
    createActivationWindow({
      lanes,
      forward: table.forward,
      contextsPerCall,
      hooks: ['a'],
      source,
      contexts: 7,
      seed: 3,
    })
  const one = await open()
  const count = await one.fill(4)
  expect(count).toBe(7 * (contextSize - 1))
  const { tokens, sum, sumSquares } = one.moments('a')
  expect(tokens).toBe(count)
  const ids = new Int32Array(7 * contextSize)
  source.read({ first: 28, count: 7, ids, mask: new Uint8Array(ids.length) })
  const { rows } = table
  let wantedSquares = 0
  const wantedSum = new Float64Array(dIn)
  ids.forEach((id, i) => {
    if (i % contextSize === 0) return
    for (let j = 0; j < dIn; j++) {
      wantedSum[j] += rows[id * dIn + j]
      wantedSquares += rows[id * dIn + j] ** 2
    }
  })
  expect(sumSquares).toBeCloseTo(wantedSquares, 8)
  sum.forEach((value, j) => {
    expect(value).toBeCloseTo(wantedSum[j], 8)
  })
  const two = await open()
  await two.fill(2)
  await two.fill(4)
  for (const window of [one, two]) await window.close()
})

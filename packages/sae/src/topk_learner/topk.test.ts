// The fast TopK learner against the float64 oracle, for one memory and for latents split over three.
import { type Lanes, openLanes } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Learner } from './families.ts'
import { gaussianBatch, restoreSilence, takeStep, untiedWeights } from './test_support.ts'
import { topk } from './topk.ts'
import { removeParallel, topkGradients } from './topk_oracle.ts'

let lanes: Lanes
beforeAll(async () => {
  lanes = await openLanes({ count: 2 })
})
afterAll(() => lanes.close())

const shape = { dIn: 19, dSae: 50 }
const rows = 300
const beta1 = 0.9

type Case = { name: string; dead: number; config: Parameters<typeof topk.config>[0] }
const cases: Case[] = [
  { name: 'without AuxK', dead: 0, config: { k: 5 } },
  { name: 'with AuxK as dictionary_learning', dead: 13, config: { k: 5, kAux: 4, auxCoefficient: 0.5 } },
  {
    name: 'with AuxK as SAELens',
    dead: 7,
    config: {
      k: 5,
      kAux: 9,
      auxCoefficient: 1,
      auxRelu: false,
      auxNormalisation: 'none',
      auxScaleByDead: true,
    },
  },
]

const someBatch = () => gaussianBatch({ lanes, rows, dIn: shape.dIn, seed: 9 })

/** Marks the first `dead` even latents as silent for longer than the window. */
function withDead(learner: Learner, dead: number, window: number): Uint8Array {
  const mask = new Uint8Array(shape.dSae)
  for (let n = 0; n < dead; n++) mask[2 * n] = 1
  const silent = Float64Array.from(mask, flag => flag * window)
  restoreSilence(learner, silent, dead > 0 ? window : 0)
  return mask
}

function expectClose(found: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number) {
  let most = 0
  let worst = 0
  for (let i = 0; i < wanted.length; i++) most = Math.max(most, Math.abs(wanted[i]))
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(found[i] - wanted[i]))
  expect(found.length).toBe(wanted.length)
  expect(worst).toBeLessThanOrEqual(tolerance * most)
}

describe.each([50, 17])('a learner of %i latents a memory', latentsPerBlock => {
  test.each(cases)('has the oracle’s loss and gradients $name', async ({ dead, config: given }) => {
    const window = 1000
    const config = topk.config({ ...given, deadAfterTokens: window }, { shape, trainTokens: 10_000 })
    const weights = untiedWeights({ shape, seed: 3 })
    const learner = await topk.learner({
      lanes,
      shape,
      config,
      batchSize: rows,
      seed: 1,
      weights,
      latentsPerBlock,
    })
    const { batch, x, memory } = await someBatch()
    const mask = withDead(learner, dead, window)
    const { norm, loss, state } = await takeStep(learner, batch)

    const wide = {
      wEnc: Float64Array.from(weights.wEnc),
      bEnc: Float64Array.from(weights.bEnc),
      wDec: Float64Array.from(weights.wDec),
      bDec: Float64Array.from(weights.bDec),
    }
    const gradients = topkGradients({ weights: wide, shape, config, x, dead: mask })
    removeParallel(gradients.wDec, wide.wDec, shape.dIn)
    expect(loss.mse).toBeCloseTo(gradients.result.mse, 4)
    expect(loss.aux).toBeCloseTo(gradients.result.aux, 4)
    expect(loss.aux > 0).toBe(dead > 0)
    expect(loss.deadLatents).toBe(dead > 0 ? dead : null)
    const of = (name: string) => state.get(`${name}.moment1`)!.map(value => value / (1 - beta1))
    expectClose(of('W_enc'), gradients.wEnc, 2e-5)
    expectClose(of('W_dec'), gradients.wDec, 2e-5)
    expectClose(of('b_enc'), gradients.bEnc, 2e-5)
    expectClose(of('b_dec'), gradients.bDec, 2e-5)
    const all = [gradients.wEnc, gradients.wDec, gradients.bEnc, gradients.bDec]
    const squares = all.reduce((sum, part) => sum + part.reduce((s, g) => s + g * g, 0), 0)
    expect(Math.abs(norm - Math.sqrt(squares))).toBeLessThan(1e-4 * norm)
    await learner.close()
    await lanes.release(memory)
  })

  test('keeps decoder rows at unit norm and lowers the loss', async () => {
    const config = topk.config({ k: 5, deadAfterTokens: 600 }, { shape, trainTokens: 10_000 })
    const learner = await topk.learner({ lanes, shape, config, batchSize: rows, seed: 1, latentsPerBlock })
    const { batch, memory } = await someBatch()
    await learner.initialise(batch)
    const first = (await takeStep(learner, batch)).loss.loss
    let last = first
    for (let i = 0; i < 60; i++) last = (await takeStep(learner, batch)).loss.loss
    expect(last).toBeLessThan(0.9 * first)
    const { wDec } = learner.weights()
    for (let i = 0; i < shape.dSae; i++) {
      let square = 0
      for (const value of wDec.subarray(i * shape.dIn, (i + 1) * shape.dIn)) square += value * value
      expect(Math.abs(square - 1)).toBeLessThan(1e-6)
    }
    await learner.close()
    await lanes.release(memory)
  })
})

test('b_dec starts at the geometric median, which an outlier hardly moves', async () => {
  const config = topk.config({ k: 5 }, { shape, trainTokens: 10_000 })
  const { batch, x, memory } = await someBatch()
  const place = memory.f32(batch.activations.offset, x.length)
  for (let j = 0; j < shape.dIn; j++) place[j] = 1e6
  const learner = await topk.learner({ lanes, shape, config, batchSize: rows, seed: 1 })
  await learner.initialise(batch)
  const { bDec } = learner.weights()
  // At the geometric median the unit vectors towards all points sum to (almost) nothing.
  const pull = new Float64Array(shape.dIn)
  for (let r = 0; r < rows; r++) {
    const offset = Array.from(bDec, (value, j) => place[r * shape.dIn + j] - value)
    const length = Math.hypot(...offset)
    for (let j = 0; j < shape.dIn; j++) pull[j] += offset[j] / length
  }
  expect(Math.hypot(...pull)).toBeLessThan(0.01)
  expect(Math.hypot(...bDec)).toBeLessThan(1)
  await learner.close()
  await lanes.release(memory)
})

test('a run continued from saved state is bit-equal to one that never stopped', async () => {
  const config = topk.config({ k: 5, kAux: 4, deadAfterTokens: 900 }, { shape, trainTokens: 10_000 })
  const { batch, memory } = await someBatch()
  const open = () => topk.learner({ lanes, shape, config, batchSize: rows, seed: 1 })
  const one = await open()
  await one.initialise(batch)
  for (let i = 0; i < 4; i++) await takeStep(one, batch)
  const saved = new Map(Array.from(one.state(), ([name, data]) => [name, data.slice()]))
  for (let i = 0; i < 5; i++) await takeStep(one, batch)
  const two = await open()
  two.restore(saved)
  for (let i = 0; i < 5; i++) await takeStep(two, batch)
  for (const [name, data] of one.state()) expect(two.state().get(name), name).toEqual(data)
  await one.close()
  await two.close()
  await lanes.release(memory)
})

test('a NaN in the batch makes the loss NaN', async () => {
  const config = topk.config({ k: 5 }, { shape, trainTokens: 10_000 })
  const { batch, memory } = await someBatch()
  memory.f32(batch.activations.offset, 1)[0] = Number.NaN
  const learner = await topk.learner({ lanes, shape, config, batchSize: rows, seed: 1 })
  await learner.load(batch)
  await learner.encode()
  await learner.decode()
  expect(learner.loss().loss).toBeNaN()
  await learner.close()
  await lanes.release(memory)
})

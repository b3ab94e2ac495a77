// What changes from step to step or from batch to batch, for every learner: normalisation at loading, several hook
// points, schedules of k, levels and p, BatchTopK's threshold, NaN, Adam's rates.

import type { Normaliser } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plainPlan } from '../../testing/example_plans.ts'
import { normalise } from '../../testing/oracle/batch.ts'
import { type Given, oracleForward } from '../../testing/oracle/forward.ts'
import { lpSum } from '../../testing/oracle/penalty.ts'
import { widen } from '../../testing/oracle/weights.ts'
import { type Kind, learners, oracle } from '../../testing/suite_learners.ts'
import {
  copyState,
  someBatch,
  someRates,
  someRows,
  someSaeWeights,
  takeStep,
  worst,
} from '../../testing/suite_support.ts'
import type { Columns, Learner } from '../learner.ts'
import { type Plan, steadyDynamics } from '../plan.ts'

const rows = 48
const shape = { dIn: 7, dSae: 20, dOut: 7 }
const still = { ...someRates, learningRate: 0 }

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const open = ({ create, latentsPerBlock }: Kind, plan: Plan, seed = 3) =>
  create({ pool, plan, batchSize: rows, weights: someSaeWeights(plan, seed), latentsPerBlock })

/** The forward pass at a learner's weights, λ times `penaltyFactor`. */
function judged(learner: Learner, x: Float32Array, given: Partial<Given> = {}) {
  const wide = Float64Array.from(x)
  const { plan } = learner
  const weights = widen(plan, learner.weights())
  return oracleForward({ plan, weights, x: wide, y: wide, dynamics: steadyDynamics, dead: null, ...given })
}

const near = (found: number, wanted: number) => expect(Math.abs(found / wanted - 1)).toBeLessThan(1e-4)

const skewed = (d: number): Normaliser => {
  const matrix = Float32Array.from({ length: d * d }, (_, at) =>
    at % (d + 1) === 0 ? 1.5 : at % d < at / d ? 0.1 * (at % 5) : 0,
  )
  return {
    kind: 'whiten',
    mean: Float32Array.from({ length: d }, (_, j) => 0.1 * j),
    matrix,
    inverse: matrix,
  }
}

describe.each(learners)('the $name learner', kind => {
  test.each<Normaliser>([
    { kind: 'none' },
    { kind: 'scale', scale: 0.3 },
    { kind: 'token_rms' },
    { kind: 'layer_norm' },
    skewed(shape.dIn),
  ])('normalises rows at loading: $kind', async normaliser => {
    const plan = plainPlan(shape)
    const learner = await open(kind, plan)
    const { batch, x, memory } = await someBatch({ pool, plan, rows, seed: 4 })
    await learner.load({ ...batch, inputs: [{ ...batch.inputs[0], normaliser }] })
    const wanted = Array.from({ length: rows }, (_, r) => [
      ...normalise(Float64Array.from(x.subarray(r * 7, r * 7 + 7)), normaliser),
    ]).flat()
    expect(worst(learner.loaded().x, wanted)).toBeLessThan(1e-6)
    expect(worst(learner.loaded().y, wanted)).toBeLessThan(1e-6)
    await learner.close()
    await pool.release(memory)
  })

  test('joins the columns of several hook points, each with its own normaliser, for inputs and targets', async () => {
    const plan: Plan = { ...plainPlan({ dIn: 5, dSae: 20, dOut: 3 }), normSegments: [[0, 3]] }
    const learner = await open(kind, plan)
    const memory = await pool.memory({ bytes: 65_536 })
    const put = (width: number, seed: number, normaliser: Normaliser) => {
      const values = Float32Array.from(someRows(rows * width, seed))
      const offset = memory.alloc(values.byteLength)
      memory.f32(offset, values.length).set(values)
      return {
        values,
        columns: { activations: { memory: memory.id, offset }, width, normaliser } satisfies Columns,
      }
    }
    const a = put(2, 1, { kind: 'scale', scale: 2 })
    const b = put(3, 2, { kind: 'layer_norm' })
    const c = put(3, 3, { kind: 'token_rms' })
    const order = memory.alloc(rows * 4)
    memory.i32(order, rows).set(Int32Array.from({ length: rows }, (_, r) => (r * 5) % rows))
    await learner.load({
      rows: { memory: memory.id, offset: order },
      inputs: [a.columns, b.columns],
      targets: [c.columns],
    })
    const row = ({ values, columns }: typeof a, r: number) => {
      const from = ((r * 5) % rows) * columns.width
      return [
        ...normalise(Float64Array.from(values.subarray(from, from + columns.width)), columns.normaliser),
      ]
    }
    const all = (parts: (typeof a)[]) =>
      Array.from({ length: rows }, (_, r) => parts.flatMap(part => row(part, r))).flat()
    expect(worst(learner.loaded().x, all([a, b]))).toBeLessThan(1e-6)
    expect(worst(learner.loaded().y, all([c]))).toBeLessThan(1e-6)
    await learner.close()
    await pool.release(memory)
  })

  test.each<Plan['selection']>([
    { kind: 'topk', k: 3, mostK: 6, score: 'raw' },
    { kind: 'batchtopk', k: 3, mostK: 6, score: 'raw', thresholdDecay: 0.9 },
  ])('follows k and the levels of a step: $kind', async selection => {
    const levels = [
      { width: 3, weight: 0.25 },
      { width: 11, weight: 1 },
      { width: 20, weight: 0.5 },
    ]
    const plan: Plan = { ...plainPlan(shape), selection, levels, mostLevels: 4 }
    const learner = await open(kind, plan)
    const { batch, x, memory } = await someBatch({ pool, plan, rows, seed: 4 })
    for (const dynamics of [
      { ...steadyDynamics, k: 6 },
      { ...steadyDynamics, k: 1, levels: [{ width: 2, weight: 2 }, ...levels] },
      { ...steadyDynamics, levels: levels.slice(1) },
    ]) {
      const wanted = judged(learner, x, { dynamics }).loss
      const { loss } = await takeStep({ learner, batch, dynamics, rates: still })
      near(loss.l0, wanted.l0)
      expect(Math.abs(loss.l0 - (dynamics.k ?? 3))).toBeLessThan(0.2)
      near(loss.reconstruction, wanted.reconstruction)
      near(loss.mse, wanted.mse)
    }
    await learner.close()
    await pool.release(memory)
  })

  test('reads activations that are stored in bfloat16', async () => {
    const plan = plainPlan(shape)
    const learner = await open(kind, plan)
    const memory = await pool.memory({ bytes: 65_536 })
    const values = Float32Array.from(someRows(rows * 7, 4))
    // Zeroing the lower half of a float32 leaves a bfloat16 number.
    const bits = new Uint32Array(values.buffer)
    for (let i = 0; i < bits.length; i++) bits[i] &= 0xffff_0000
    const [wide, offset, order] = [rows * 7 * 4, rows * 7 * 2, rows * 4].map(bytes => memory.alloc(bytes))
    memory.f32(wide, values.length).set(values)
    memory.i32(order, rows).set(Int32Array.from({ length: rows }, (_, r) => r))
    const place = (at: number) => ({ memory: memory.id, offset: at })
    const narrow = { ...place(offset), dtype: 'bfloat16' as const }
    await pool.run([[{ copy: { from: place(wide), to: narrow, count: rows, width: 7 } }]])
    const columns = { activations: narrow, width: 7, normaliser: { kind: 'none' } as const }
    await learner.load({ rows: place(order), inputs: [columns] })
    expect(learner.loaded().x).toEqual(values)
    await learner.close()
    await pool.release(memory)
  })

  test.each(['raw', 'normed'] as const)(
    'moves the threshold towards the least %s score that is kept',
    async score => {
      const decay = 0.75
      const plan: Plan = {
        ...plainPlan(shape),
        selection: { kind: 'batchtopk', k: 2, score, thresholdDecay: decay },
      }
      const learner = await open(kind, plan)
      expect(learner.threshold()).toBeNull()
      let wanted: number | undefined
      for (const seed of [1, 2, 3]) {
        const { batch, x, memory } = await someBatch({ pool, plan, rows, seed })
        const { pre, norms } = judged(learner, x)
        const scores = pre.map((value, at) => value * (score === 'normed' ? norms[at % 20] : 1)).sort()
        const least = scores[scores.length - 2 * rows]
        wanted = wanted === undefined ? least : decay * wanted + (1 - decay) * least
        await takeStep({ learner, batch })
        near(learner.threshold()!, wanted)
        await pool.release(memory)
      }
      await learner.close()
    },
  )

  test('keeps the size of the penalty when p falls, over the batch in which it does', async () => {
    const plan: Plan = {
      ...plainPlan(shape),
      penalty: { kind: 'lp', coefficient: 0.4, normWeighted: true },
    }
    const learner = await open(kind, plan)
    let factor = 1
    let last: number | undefined
    for (const [seed, p] of [1, 0.8, 0.8, 0.5].entries()) {
      const { batch, x, memory } = await someBatch({ pool, plan, rows, seed })
      const dynamics = { ...steadyDynamics, p }
      const { penalty } = judged(learner, x, { dynamics })
      if (last !== undefined && last !== p)
        factor *= lpSum({ ...penalty!, p: last }) / lpSum({ ...penalty!, p })
      last = p
      const wanted = judged(learner, x, { dynamics, penaltyFactor: factor }).loss
      const { loss } = await takeStep({ learner, batch, dynamics })
      near(loss.sparsity, wanted.sparsity)
      near(loss.loss, wanted.loss)
      await pool.release(memory)
    }
    expect(factor).not.toBeCloseTo(1, 2)
    await learner.close()
  })

  test.each([
    [0, 0.999],
    [0.9, 0.95],
  ])('takes Adam’s rates as given: β %d and %d, a large ε, a clip', async (beta1, beta2) => {
    const plan: Plan = {
      ...plainPlan(shape),
      centred: true,
      penalty: { kind: 'l1', coefficient: 0.1, normWeighted: true },
    }
    const [learner, judge] = [await open(kind, plan), await open(oracle, plan)]
    const { batch, memory } = await someBatch({ pool, plan, rows, seed: 4 })
    for (let step = 0; step < 5; step++) {
      const rates = { learningRate: 0.01 / (step + 1), beta1, beta2, epsilon: 0.05, clipScale: 0.3 }
      for (const one of [learner, judge]) await takeStep({ learner: one, batch, rates })
    }
    for (const name of ['wEnc', 'bEnc', 'wDec', 'bDec'] as const)
      expect(worst(learner.weights()[name], judge.weights()[name]), name).toBeLessThan(1e-5)
    await learner.close()
    await judge.close()
    await pool.release(memory)
  })

  test.each<Plan['selection']>([
    { kind: 'relu' },
    { kind: 'topk', k: 3, score: 'raw' },
    { kind: 'batchtopk', k: 3, score: 'normed', thresholdDecay: 0.9 },
    { kind: 'jumprelu', bandwidth: 0.1, steToInput: false },
    { kind: 'gated', frozenDecoder: true },
  ])('a NaN in the batch makes the loss NaN: $kind', async selection => {
    const plan: Plan = { ...plainPlan(shape), selection }
    const learner = await open(kind, plan)
    const { batch, memory } = await someBatch({ pool, plan, rows, seed: 4 })
    memory.f32(batch.inputs[0].activations.offset, 1)[0] = Number.NaN
    await learner.load(batch)
    await learner.encode(steadyDynamics)
    await learner.decode()
    expect(learner.loss().loss).toBeNaN()
    await learner.close()
    await pool.release(memory)
  })

  test('takes other weights, and gives back what it was given', async () => {
    const plan: Plan = { ...plainPlan(shape), selection: { kind: 'gated', frozenDecoder: false } }
    const learner = await open(kind, plan)
    const other = someSaeWeights(plan, 8)
    learner.setWeights(other)
    expect({ ...learner.weights() }).toEqual(other)
    const state = copyState(learner.state())
    state.set('W_enc', new Float32Array(3))
    expect(() => learner.restore(state)).toThrow(/W_enc/)
    await learner.close()
  })
})

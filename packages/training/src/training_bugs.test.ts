// Training bugs found in other tools, each shown to be absent here; docs/bugs.md lists them.

import { createActivationBuffer } from '@mistudio/capture'
import { createTable } from '@mistudio/capture/testing/table_forward.ts'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plainPlan } from '../testing/example_plans.ts'
import { oracleForward } from '../testing/oracle/forward.ts'
import { oracleGradients } from '../testing/oracle/gradients.ts'
import { createOracleLearner } from '../testing/oracle/learner.ts'
import {
  copyState,
  setDead,
  someBatch,
  someRows,
  someSaeWeights,
  someWeights,
  takeStep,
} from '../testing/suite_support.ts'
import type { Settings } from './fields.ts'
import { createLearner } from './learner/learner.ts'
import { completeMember } from './member.ts'
import { type Plan, steadyDynamics } from './plan.ts'
import { recipes } from './recipes.ts'
import { applyNormaliser, fitNormaliser } from './start/normalise.ts'

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const [width, dSae, rows] = [6, 24, 20]

/** A family's plan for a small SAE with these settings. */
const complete = (family: string, settings: Settings = {}) => {
  const pairs = family.endsWith('transcoder')
  return completeMember({
    member: {
      name: family,
      family,
      inputs: ['a'],
      outputs: pairs ? ['b'] : [],
      dSae,
      settings: { dead_after_tokens: 1000, ...settings },
    },
    widthOf: () => width,
    batchSize: rows,
    totalSteps: 200,
    trainTokens: 200 * rows,
  })
}
const x = someRows(rows * width, 1)
const y = someRows(rows * width, 2)
const given = (plan: Plan, more: Partial<Parameters<typeof oracleForward>[0]> = {}) => ({
  plan,
  weights: someWeights(plan, 3),
  x,
  y: plan.centred ? x : y,
  dynamics: steadyDynamics,
  dead: null,
  ...more,
})

test('sparsify, AuxK without a gradient for the encoder: the dead latents’ encoder rows move by it', () => {
  const { plan } = complete('topk', { k: 4 })
  const dead = new Uint8Array(dSae).fill(1, dSae - 8)
  const withAux = oracleGradients(given(plan, { dead })).gradients
  const without = oracleGradients(given({ ...plan, auxK: null }, { dead })).gradients
  const moved = (i: number) =>
    withAux.wEnc
      .slice(i * width, (i + 1) * width)
      .some((value, j) => Math.abs(value - without.wEnc[i * width + j]) > 1e-6)
  const latents = Array.from({ length: dSae }, (_, i) => i)
  expect(latents.filter(moved).length).toBeGreaterThan(3)
  expect(latents.filter(moved).every(i => dead[i] === 1)).toBe(true)
})

test('dictionary_learning, Matryoshka’s reconstructions weighed 1/n²: each has the weight 1', () => {
  const { plan } = complete('matryoshka', { k: 4 })
  expect(plan.levels.length).toBeGreaterThan(2)
  const { loss, errors } = oracleForward(given(plan))
  const sum = errors.reduce((all, error) => all + error.reduce((s, value) => s + value * value, 0) / rows, 0)
  expect(loss.reconstruction).toBeCloseTo(sum, 9)
  expect(loss.mse).toBeLessThan(sum / 2)
})

test('dictionary_learning, the step on what is left after the jump: θ feels pre-activations just below it too', () => {
  const bandwidth = 0.2
  const theta = 1
  const plan: Plan = {
    ...plainPlan({ dIn: 1, dSae: 1, dOut: 1 }),
    selection: { kind: 'jumprelu', bandwidth, steToInput: false },
    penalty: { kind: 'l0', coefficient: 1 },
  }
  const gradientAt = (pre: number) =>
    oracleGradients({
      plan,
      weights: {
        wEnc: Float64Array.of(1),
        bEnc: Float64Array.of(0),
        wDec: Float64Array.of(0),
        bDec: Float64Array.of(0),
        threshold: Float64Array.of(theta),
      },
      x: Float64Array.of(pre),
      y: Float64Array.of(0),
      dynamics: steadyDynamics,
      dead: null,
    }).gradients.threshold![0]
  expect(gradientAt(theta - bandwidth / 4)).toBeCloseTo(-1 / bandwidth, 9)
  expect(gradientAt(theta + bandwidth / 4)).toBeCloseTo(-1 / bandwidth, 9)
  expect(gradientAt(theta - bandwidth)).toBe(0)
})

describe('miStudio, the skip SAE', () => {
  test('that adds x itself: the path of a skip transcoder is learned, and without latents and W_skip nothing but b_dec is left', () => {
    const { plan } = complete('skip_transcoder')
    const weights = someWeights(plan, 3)
    weights.wSkip!.fill(0)
    weights.bEnc.fill(-1e6)
    const { reconstruction } = oracleForward(given(plan, { weights }))
    expect([...reconstruction.slice(0, width)]).toEqual([...weights.bDec])
    const { gradients } = oracleGradients(given(plan, { weights }))
    expect(gradients.wSkip!.some(value => Math.abs(value) > 1e-3)).toBe(true)
  })
})

test('miStudio, anthropic_rescale that is one factor a token: expected_average is one scalar for all, and lengths still differ', async () => {
  const n = 64
  const memory = await pool.memory({ bytes: n * (width * 4 + 4) + 4096 })
  const activations = { memory: memory.id, offset: memory.alloc(n * width * 4) }
  const order = { memory: memory.id, offset: memory.alloc(n * 4) }
  const values = Float32Array.from(
    someRows(n * width, 4),
    (value, i) => value * (1 + (Math.floor(i / width) % 3)),
  )
  memory.f32(activations.offset, n * width).set(values)
  memory.i32(order.offset, n).set(Int32Array.from({ length: n }, (_, i) => i))
  const norm = (row: ArrayLike<number>) =>
    Math.sqrt(Array.from(row).reduce((s, value) => s + value * value, 0))
  const rowOf = (i: number) => Float64Array.from(values.subarray(i * width, (i + 1) * width))
  const norms = Array.from({ length: n }, (_, i) => norm(rowOf(i)))
  const sum = new Float64Array(width)
  values.forEach((value, i) => {
    sum[i % width] += value
  })
  const moments = {
    tokens: n,
    sum,
    sumSquares: norms.reduce((s, value) => s + value * value, 0),
    sumNorms: norms.reduce((s, value) => s + value, 0),
  }
  const normaliser = await fitNormaliser({
    pool,
    kind: 'expected_average',
    sample: { hook: 'a', width, moments, activations, rows: order, count: n },
  } as Parameters<typeof fitNormaliser>[0])
  const scaled = Array.from({ length: n }, (_, i) => {
    const row = rowOf(i)
    applyNormaliser(normaliser, row)
    return norm(row)
  })
  for (const [i, value] of scaled.entries()) expect(value / norms[i]).toBeCloseTo(scaled[0] / norms[0], 5)
  expect(scaled.reduce((s, value) => s + value, 0) / n).toBeCloseTo(Math.sqrt(width), 4)
  const recipe = recipes.find(({ name }) => name.includes('anthropic_april'))
  expect(recipe?.sets.normalisation).toBe('expected_average')
  await pool.release(memory)
})

describe('miStudio, JumpReLU', () => {
  const { plan } = complete('jumprelu', { bandwidth: 0.5, sparsity_loss: 'l0', sparsity_coefficient: 1 })
  test('whose λ has no effect: the gradient of θ grows with λ and lifts it', () => {
    const at = (coefficient: number) =>
      oracleGradients(given({ ...plan, penalty: { kind: 'l0', coefficient } })).gradients.threshold!
    const [none, one, two] = [at(0), at(1), at(2)]
    const rise = one.map((value, i) => value - none[i])
    expect(rise.some(value => value < -1e-3)).toBe(true)
    expect(rise.every(value => value <= 0)).toBe(true)
    for (const [i, value] of two.entries()) expect(value - none[i]).toBeCloseTo(2 * rise[i], 9)
  })

  test('with an L0 that counts what does not fire: latents far below θ count 0', () => {
    const weights = someWeights(plan, 3)
    weights.threshold!.fill(1e6)
    const { loss } = oracleForward(given(plan, { weights }))
    expect([loss.l0, loss.sparsity]).toEqual([0, 0])
  })
})

describe('miStudio, the standard SAE', () => {
  test('whose L1 is cheated by small f and large W_dec: the penalty of free decoders does not change by it', () => {
    const plan = { ...complete('standard').plan, centred: false, decoder: 'free' as const }
    const penalised: Plan = { ...plan, penalty: { kind: 'l1', coefficient: 1, normWeighted: true } }
    const weights = someWeights(penalised, 3)
    const small = {
      ...weights,
      wEnc: weights.wEnc.map(value => value / 10),
      bEnc: weights.bEnc.map(value => value / 10),
      wDec: weights.wDec.map(value => value * 10),
    }
    const [before, after] = [weights, small].map(
      one => oracleForward(given(penalised, { weights: one })).loss,
    )
    expect(after.sparsity).toBeCloseTo(before.sparsity, 9)
    expect(after.mse).toBeCloseTo(before.mse, 6)
  })

  test('whose unit decoder drifts: rows of norm 1 stay so, step after step', async () => {
    const { plan } = complete('topk', { k: 4 })
    expect(plan.decoder).toBe('unit')
    const learner = await createLearner({ pool, plan, batchSize: rows, weights: someSaeWeights(plan, 3) })
    const { batch, memory } = await someBatch({ pool, plan, rows, seed: 5 })
    for (let step = 0; step < 5; step++) await takeStep({ learner, batch })
    const { wDec } = learner.weights()
    for (let i = 0; i < dSae; i++) {
      const row = wDec.slice(i * width, (i + 1) * width)
      expect(Math.sqrt(row.reduce((s, value) => s + value * value, 0))).toBeCloseTo(1, 5)
    }
    await learner.close()
    await pool.release(memory)
  })

  test('with two output biases and x not centred: one b_dec, taken off the input of a tied SAE and added back', () => {
    const { plan } = complete('topk', { k: 4 })
    expect(plan.centred).toBe(true)
    const weights = someWeights(plan, 3)
    // Input and b_dec moved together move the output and nothing else.
    const moved = { ...weights, bDec: weights.bDec.map(value => value + 2) }
    const [before, after] = [
      oracleForward(given(plan, { weights })),
      oracleForward(
        given(plan, { weights: moved, x: x.map(value => value + 2), y: x.map(value => value + 2) }),
      ),
    ]
    for (const [i, value] of after.activations.entries()) expect(value).toBeCloseTo(before.activations[i], 9)
    expect(after.loss.mse).toBeCloseTo(before.loss.mse, 9)
    expect(Object.keys(weights).filter(name => name.startsWith('b'))).toEqual(['bEnc', 'bDec'])
  })

  test('with an L1 of 0.045, weight decay and batches of 64: no recipe and no default has them', () => {
    const { described } = complete('standard')
    expect(described.sparsity_coefficient).not.toBe(0.045)
    expect(Object.keys(described).some(name => name.includes('weight_decay'))).toBe(false)
    expect(described.decay_fraction).toBeGreaterThan(0)
    expect(described.sparsity_warm_up_steps).toBeGreaterThan(0)
    for (const { sets } of recipes) expect(sets.batch_size).not.toBe(64)
  })
})

test('miStudio, a transcoder trained from x to x: the loss is that of the output hook point', () => {
  const { plan } = complete('transcoder')
  const { loss, reconstruction } = oracleForward(given(plan))
  const error = (target: Float64Array) =>
    reconstruction.reduce((all, value, i) => all + (value - target[i]) ** 2, 0) / rows
  expect(loss.mse).toBeCloseTo(error(y), 9)
  expect(Math.abs(loss.mse - error(x))).toBeGreaterThan(0.1)
})

describe.each([
  ['oracle', createOracleLearner],
  ['fast', createLearner],
] as const)('miStudio, dead latents (%s learner)', (_, create) => {
  const dead_after_tokens = 3 * rows
  test('judged from one batch: a latent is dead only after dead_after_tokens without a firing', async () => {
    const { plan } = complete('topk', { k: 4, dead_after_tokens })
    const weights = someSaeWeights(plan, 3)
    // Latent 0 cannot fire.
    weights.bEnc[0] = -1e6
    const learner = await create({ pool, plan, batchSize: rows, weights })
    const { batch, memory } = await someBatch({ pool, plan, rows, seed: 5 })
    const counts: (number | null)[] = []
    for (let step = 0; step < 5; step++) counts.push((await takeStep({ learner, batch })).loss.deadLatents)
    expect(counts.slice(0, 2)).toEqual([null, null])
    expect(counts.at(-1)).toBeGreaterThanOrEqual(1)
    await learner.close()
    await pool.release(memory)
  })

  test.each(['topk', 'transcoder'])(
    'resampled with their old moments, or not at all in a %s: they start anew',
    async family => {
      const { plan } = complete(family, { k: 4, dead_after_tokens })
      const learner = await create({ pool, plan, batchSize: rows, weights: someSaeWeights(plan, 3) })
      const { batch, memory } = await someBatch({ pool, plan, rows, seed: 5 })
      for (let step = 0; step < 4; step++) await takeStep({ learner, batch })
      const dead = new Uint8Array(dSae)
      dead[1] = 1
      setDead(learner, dead)
      await learner.load(batch)
      await learner.encode(steadyDynamics)
      await learner.decode()
      const before = copyState(learner.state())
      expect(learner.resample({ seed: 3 })).toBe(1)
      const after = copyState(learner.state())
      const row = (state: typeof before, name: string) => [...state.get(name)!.slice(width, 2 * width)]
      for (const name of before.keys()) {
        if (!name.startsWith('W_enc.moment') && !name.startsWith('W_dec.moment')) continue
        expect(row(before, name).some(value => value !== 0)).toBe(true)
        expect(row(after, name)).toEqual(new Array(width).fill(0))
      }
      expect(after.get('b_enc')![1]).toBe(0)
      await learner.close()
      await pool.release(memory)
    },
  )
})

test('miStudio, training on the mean of a sequence with its padding: each usable token is a row of its own, and masked ones are none', async () => {
  const [contextSize, contexts, vocabulary] = [6, 8, 30]
  const table = await createTable({ pool, vocabulary, dIn: width, hooks: ['a'], contextSize })
  // The first token of a context is masked, and its last two, as padding is.
  const source = {
    contextSize,
    contexts,
    read({ first, count, ids, mask }: { first: number; count: number; ids: Int32Array; mask: Uint8Array }) {
      for (let i = 0; i < count * contextSize; i++) {
        const t = i % contextSize
        ids[i] = (first * contextSize + i) % vocabulary
        mask[i] = t > 0 && t < contextSize - 2 ? 1 : 0
      }
    },
  }
  const window = await createActivationBuffer({
    pool,
    forward: table.forward,
    contextsPerCall: 4,
    hooks: ['a'],
    source,
    contexts,
    seed: 1,
  } as Parameters<typeof createActivationBuffer>[0])
  const usable = await window.fill(0)
  expect(usable).toBe(contexts * (contextSize - 3))
  const memory = await pool.memory({ bytes: usable * width * 4 + 256 })
  const to = { memory: memory.id, offset: memory.alloc(usable * width * 4) }
  await pool.run([[{ copy: { from: window.activations('a'), to, rows: window.rows, count: usable, width } }]])
  const found = memory.f32(to.offset, usable * width)
  const known = Array.from({ length: vocabulary }, (_, id) =>
    String([...table.rows.slice(id * width, (id + 1) * width)]),
  )
  const wanted = Array.from({ length: contexts * contextSize }, (_, i) => i)
    .filter(i => i % contextSize > 0 && i % contextSize < contextSize - 2)
    .map(i => known[i % vocabulary])
  const rowsFound = Array.from({ length: usable }, (_, r) =>
    String([...found.slice(r * width, (r + 1) * width)]),
  )
  expect(rowsFound.sort()).toEqual(wanted.sort())
  await window.close()
  await pool.release(memory)
})

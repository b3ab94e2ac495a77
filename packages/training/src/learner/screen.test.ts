// The screened encode: the bits of exact scores whichever product chose the candidates, on easy data without
// re-encoding, and on data made to defeat eight bits with it.

import type { SaeWeights } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plainPlan } from '../../testing/example_plans.ts'
import {
  copyState,
  setDead,
  someBatch,
  someSaeWeights,
  type TestBatch,
  takeStep,
} from '../../testing/suite_support.ts'
import { type Plan, steadyDynamics } from '../plan.ts'
import { createEngine } from './engine.ts'
import { createLearner } from './learner.ts'
import { defaultScoring } from './scoring.ts'
import { createScreen } from './screen.ts'
import { encode } from './step/step_encode.ts'

const rows = 530
const shape = { dIn: 96, dSae: 1100, dOut: 96 }
const topk = { kind: 'topk', k: 6, score: 'raw' } as const
const batchtopk = { kind: 'batchtopk', k: 6, score: 'raw', thresholdDecay: 0.9 } as const
const auxK = { coefficient: 0.5, kAux: 5, normalisation: 'variance', relu: true, scaleByDead: false } as const
const plans: [string, Partial<Plan>][] = [
  ['topk, AuxK', { selection: topk, decoder: 'unit', auxK }],
  ['batchtopk, normed, AuxK', { selection: { ...batchtopk, score: 'normed' }, auxK }],
  ['topk', { selection: topk, centred: true }],
  ['topk, normed', { selection: { ...topk, score: 'normed' } }],
  ['batchtopk', { selection: batchtopk, decoder: 'unit' }],
  [
    'matryoshka, normed',
    {
      selection: { ...batchtopk, score: 'normed' },
      levels: [
        { width: 600, weight: 1 },
        { width: 1100, weight: 0.5 },
      ],
    },
  ],
]

type Spoil = { x?: (x: Float32Array) => void; wEnc?: (w: Float32Array) => void }
/** Changes to normal draws. */
const data: Readonly<Record<string, Spoil>> = {
  'normal draws': {},
  'two columns that no latent reads, a thousand times as large as the others': {
    x: x => {
      for (let i = 0; i < x.length; i++) if (i % shape.dIn < 2) x[i] *= 1000
    },
    wEnc: w => {
      for (let i = 0; i < w.length; i++) if (i % shape.dIn < 2) w[i] = 0
    },
  },
  'rows of zeros, and latents that eight bits cannot tell apart': {
    x: x => x.fill(0, 100 * shape.dIn, 400 * shape.dIn),
    wEnc: w => {
      for (let i = shape.dIn; i < w.length; i++) w[i] = w[i % shape.dIn] + 1e-4 * w[i]
    },
  },
}
const kinds = Object.keys(data)

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

async function given(plan: Plan, { x, wEnc }: Spoil): Promise<TestBatch & { weights: SaeWeights }> {
  const made = await someBatch({ pool, plan, rows, seed: 3 })
  const { offset } = made.batch.inputs[0].activations as { offset: number }
  x?.(made.memory.f32(offset, rows * shape.dIn))
  const weights = someSaeWeights(plan, 5)
  wEnc?.(weights.wEnc)
  return { ...made, weights }
}

const dead = Uint8Array.from({ length: shape.dSae }, (_, i) => Number(i % 40 === 3))

const sameBytes = (...both: ArrayBufferView[]) => {
  const [a, b] = both.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))
  return a.equals(b)
}

describe.each(plans)('%s', (_name, change) => {
  const plan: Plan = { ...plainPlan(shape), ...change }

  test.each(kinds)('%s: the bits of exact scores, in one memory and in three', async kind => {
    const { batch, memory, weights } = await given(plan, data[kind])
    const states = []
    for (const how of [
      { scoring: 'rescored' },
      { scoring: 'screened' },
      { scoring: 'screened', latentsPerBlock: 512 },
    ] as const) {
      const learner = await createLearner({ pool, plan, batchSize: rows, weights, ...how })
      if (plan.auxK !== null) setDead(learner, dead)
      for (let step = 0; step < 2; step++) await takeStep({ learner, batch })
      states.push(copyState(learner.state()))
      await learner.close()
    }
    await pool.release(memory)
    for (const state of states.slice(1)) {
      for (const [name, values] of states[0])
        if (name !== 'path') expect(sameBytes(state.get(name)!, values), name).toBe(true)
    }
  })

  test('normal draws are settled by the first encode, columns out of scale are not', async () => {
    const counts = []
    const asked = []
    for (const kind of kinds.slice(0, 2)) {
      const { batch, memory, weights } = await given(plan, data[kind])
      const engine = await createEngine({ pool, plan, batchSize: rows, weights, scoring: 'screened' })
      await engine.loader.load(batch)
      await encode(engine, steadyDynamics)
      counts.push(engine.screen!.counts)
      asked.push(engine.screen!.perK)
      await pool.release(memory)
    }
    expect(counts[0]).toEqual({ chunks: 3, again: 0 })
    expect(counts[1].again).toBe(3)
    expect(asked[1]).toBeGreaterThan(asked[0])
  })
})

test.each([topk, batchtopk])(
  '$kind: latents of several products are screened as those of one',
  async selection => {
    const plan: Plan = { ...plainPlan({ dIn: 24, dSae: 4500, dOut: 24 }), selection }
    const { batch, memory } = await someBatch({ pool, plan, rows: 300, seed: 3 })
    const weights = someSaeWeights(plan, 5)
    const options = { pool, plan, batchSize: 300, weights }
    const states = []
    for (const scoring of ['rescored', 'screened'] as const) {
      const learner = await createLearner({ ...options, scoring })
      await takeStep({ learner, batch })
      states.push(copyState(learner.state()))
      await learner.close()
    }
    for (const [name, values] of states[0])
      if (name !== 'path') expect(sameBytes(states[1].get(name)!, values), name).toBe(true)
    // Weights read at the wrong place would settle nothing.
    const engine = await createEngine({ ...options, scoring: 'screened' })
    await engine.loader.load(batch)
    await encode(engine, steadyDynamics)
    expect(engine.screen!.counts).toEqual({ chunks: 2, again: 0 })
    await pool.release(memory)
  },
)

test('an activation that is not a number shows in the loss', async () => {
  const plan: Plan = { ...plainPlan(shape), selection: topk }
  const spoil = (x: Float32Array) => {
    x[7] = Number.NaN
  }
  const { batch, memory, weights } = await given(plan, { x: spoil })
  const options = { pool, plan, batchSize: rows, weights }
  const learner = await createLearner({ ...options, scoring: 'screened' })
  const { loss } = await takeStep({ learner, batch })
  expect(loss.loss).toBeNaN()
  await learner.close()
  await pool.release(memory)
})

test('a screen that settles too little rests for a while, and asks for more candidates up to a limit', async () => {
  const screen = await createScreen(pool, { whole: false })
  const begins = (steps: number) => Array.from({ length: steps }, () => screen.active())
  expect(begins(3)).toEqual([true, true, true])
  expect(screen.perK).toBe(5)
  screen.note(1, 4)
  expect([screen.perK, screen.active()]).toEqual([7.5, true])
  screen.note(0, 4)
  expect(screen.perK).toBe(7.5)
  screen.note(2, 4)
  const rested = begins(60)
  expect(rested.indexOf(true)).toBe(49)
  expect(rested.slice(49)).not.toContain(false)
  for (let i = 0; i < 3; i++) screen.note(4, 4)
  expect(screen.perK).toBe(16)
  expect(screen.counts).toEqual({ chunks: 24, again: 15 })
  await screen.close()
})

test('plans are screened where few of many latents are kept', () => {
  const scoringOf = (dSae: number, k: number) =>
    defaultScoring({ ...plainPlan({ ...shape, dSae }), selection: { ...topk, k } })
  expect(scoringOf(2048, 32)).toBe('screened')
  expect(scoringOf(2047, 32)).toBe('product')
  expect(scoringOf(8192, 128)).toBe('screened')
  expect(scoringOf(8192, 129)).toBe('product')
  expect(defaultScoring(plainPlan({ ...shape, dSae: 8192 }))).toBe('product')
})

// What tests of learners share: batches in shared memory, weights away from any symmetric start, one step of the loop.

import type { SaeWeights } from '@mistudio/sae'
import { gaussianStream, type SharedMemory, type WorkerPool } from '@mistudio/tensor'
import type { AdamRates, BatchSource, Learner, LearnerState, StepLoss } from '../src/learner.ts'
import { type Dynamics, type Plan, steadyDynamics } from '../src/plan.ts'
import { constrain } from './oracle/adam.ts'
import { latentRows, narrow, type OracleWeights, parametersOf } from './oracle/weights.ts'

/** Seeded weights: rows of W_dec of norm about 1 (exactly where the plan says so), small biases, positive thresholds. */
export function someWeights(plan: Plan, seed: number): OracleWeights {
  const draw = gaussianStream({ seed, purpose: 'test weights' })
  const { dIn, dOut } = plan.shape
  const scales: Record<string, number> = { wEnc: 1 / Math.sqrt(dIn), wDec: 1 / Math.sqrt(dOut), wSkip: 0.2 }
  const weights = Object.fromEntries(
    parametersOf(plan).map(({ name, length }) => [
      name,
      Float64Array.from({ length }, () => draw() * (scales[name] ?? 0.2)),
    ]),
  ) as OracleWeights
  // Tied in part, so that a step learns something.
  const rows = latentRows(plan)
  for (const { enc, input, dec, output } of rows) {
    for (let j = Math.max(input[0], output[0]); j < Math.min(input[1], output[1]); j++)
      weights.wEnc[enc + j - input[0]] += weights.wDec[dec + j - output[0]]
  }
  if (weights.threshold !== undefined)
    weights.threshold = weights.threshold.map(value => 0.1 + Math.abs(value))
  constrain(plan, weights)
  return weights
}

/** Float32 weights, for a learner. */
export const someSaeWeights = (plan: Plan, seed: number): SaeWeights => narrow(someWeights(plan, seed))

export const someRows = (length: number, seed: number): Float64Array =>
  Float64Array.from({ length }, gaussianStream({ seed, purpose: 'test rows' }))

export type TestBatch = { batch: BatchSource; x: Float32Array; y: Float32Array; memory: SharedMemory }

/** A batch of normal draws in shared memory, its rows in reverse order; targets where the plan predicts another hook. */
export async function someBatch(options: {
  pool: WorkerPool
  plan: Plan
  rows: number
  seed: number
}): Promise<TestBatch> {
  const { pool, plan, rows, seed } = options
  const { dIn, dOut } = plan.shape
  const memory = await pool.memory({ bytes: rows * ((dIn + dOut) * 4 + 4) + 4096 })
  const put = (width: number, from: number) => {
    const values = Float32Array.from(someRows(rows * width, from))
    const offset = memory.alloc(values.byteLength)
    memory.f32(offset, values.length).set(values)
    return { values, columns: { activations: { memory: memory.id, offset }, width, normaliser: none } }
  }
  const order = memory.alloc(rows * 4)
  memory.i32(order, rows).set(Int32Array.from({ length: rows }, (_, r) => rows - 1 - r))
  const input = put(dIn, seed)
  const joint = plan.centred || (dIn === dOut && !plan.skip)
  const target = joint ? undefined : put(dOut, seed + 1000)
  const reversed = (values: Float32Array, width: number) =>
    values.map((_, at) => values[(rows - 1 - Math.floor(at / width)) * width + (at % width)])
  const x = reversed(input.values, dIn)
  return {
    batch: {
      rows: { memory: memory.id, offset: order },
      inputs: [input.columns],
      ...(target === undefined ? {} : { targets: [target.columns] }),
    },
    x,
    y: target === undefined ? x : reversed(target.values, dOut),
    memory,
  }
}

const none = { kind: 'none' } as const

export const someRates: AdamRates = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipScale: 1,
}

/** One step as the loop takes it. */
export async function takeStep(options: {
  learner: Learner
  batch: BatchSource
  dynamics?: Dynamics
  rates?: AdamRates
}): Promise<{ norm: number; loss: StepLoss }> {
  const { learner, batch, dynamics = steadyDynamics, rates = someRates } = options
  await learner.load(batch)
  await learner.encode(dynamics)
  await learner.decode()
  const norm = await learner.gradients()
  const loss = learner.loss()
  await learner.update(rates)
  await learner.afterStep()
  return { norm, loss }
}

/** Copies of everything, for a learner whose state are views. */
export const copyState = (state: LearnerState): LearnerState =>
  new Map(Array.from(state, ([name, data]) => [name, data.slice()]))

/** Makes latents dead (or alive) as if they had been silent for the window. */
export function setDead(learner: Learner, dead: Uint8Array): void {
  const state = copyState(learner.state())
  const window = learner.plan.deadAfterTokens
  state.set(
    'tokens_since_fired',
    Float64Array.from(dead, flag => flag * window),
  )
  const [steps] = state.get('counters')!
  state.set('counters', Float64Array.of(steps, window))
  learner.restore(state)
}

/** The largest difference as a share of the largest value wanted; 0 for two tensors of zeros. */
export function worst(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY
  let most = 0
  let error = 0
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(wanted[i]))
    error = Math.max(error, Math.abs(found[i] - wanted[i]))
  }
  return error === 0 ? 0 : error / most
}

// Edge cases where learners must agree with the oracle too: fewer positive scores than the budget, equal scores, one
// row, all latents dead or kept, decoders of zeros, pre-activations on the threshold, constant batches.

import type { SaeWeights } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { plainPlan } from '../../testing/example_plans.ts'
import type { ParameterName } from '../../testing/oracle/weights.ts'
import { learners, oracle } from '../../testing/suite_learners.ts'
import { setDead, someBatch, someSaeWeights, takeStep, worst } from '../../testing/suite_support.ts'
import { type Plan, steadyDynamics } from '../plan.ts'

const shape = { dIn: 6, dSae: 20, dOut: 6 }
const tolerance = 1e-4

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const topk = { kind: 'topk', k: 4, score: 'raw' } as const
const batchtopk = { kind: 'batchtopk', k: 4, score: 'raw', thresholdDecay: 0.9 } as const
const jumprelu = { kind: 'jumprelu', bandwidth: 0.5, steToInput: true } as const
const l1 = { kind: 'l1', coefficient: 0.1, normWeighted: true } as const
const tanh = { kind: 'tanh', coefficient: 0.1, scale: 4, normWeighted: true } as const
const auxK = { coefficient: 0.5, kAux: 3, normalisation: 'variance', relu: true, scaleByDead: true } as const

type Edge = {
  plan: Partial<Plan>
  /** Changes the weights both start from. */
  weights?: (weights: SaeWeights) => void
  rows?: number
  /** Changes the batch [rows, d_in]. */
  x?: (x: Float32Array) => void
  dead?: 'all' | 'one'
  steps?: number
}

/** Latents 10 … 19 the same as 0 … 9. */
const twins = ({ wEnc, wDec, bEnc }: SaeWeights) => {
  for (const values of [wEnc, wDec, bEnc]) values.copyWithin(values.length / 2, 0, values.length / 2)
}
/** Binary fractions, so that sums are exact and equal scores stay equal in float32. */
const coarse = (values: Float32Array) => {
  for (let i = 0; i < values.length; i++) values[i] = Math.round(values[i] * 4) / 4
}
const exact = (weights: SaeWeights) => {
  for (const values of Object.values(weights)) coarse(values)
}

const edges: Record<string, Edge> = {
  'topk with few positive pre-activations': { plan: { selection: topk }, weights: w => w.bEnc.fill(-2) },
  'batchtopk with fewer positive scores than its budget': {
    plan: { selection: batchtopk },
    weights: w => w.bEnc.fill(-3),
  },
  'batchtopk with nothing positive': { plan: { selection: batchtopk }, weights: w => w.bEnc.fill(-100) },
  'topk of all latents': { plan: { selection: { ...topk, k: 20 } } },
  'batchtopk of all latents': { plan: { selection: { ...batchtopk, k: 20 } } },
  'topk with equal scores': { plan: { selection: { ...topk, k: 3 } }, weights: twins },
  'batchtopk with equal scores': {
    plan: { selection: batchtopk },
    weights: w => {
      exact(w)
      twins(w)
    },
    x: coarse,
  },
  'batchtopk with equal normed scores': {
    plan: { selection: { ...batchtopk, score: 'normed' } },
    weights: twins,
  },
  'one row': { plan: { selection: topk, auxK: { ...auxK, normalisation: 'none' } }, rows: 1, dead: 'one' },
  'one row, without variance for AuxK': { plan: { selection: topk, auxK }, rows: 1, dead: 'all' },
  'one row of batchtopk': { plan: { selection: batchtopk, decoder: 'unit', centred: true }, rows: 1 },
  'all latents dead': { plan: { selection: topk, auxK }, dead: 'all' },
  'one latent dead': { plan: { selection: batchtopk, auxK }, dead: 'one' },
  'AuxK beside thresholds': { plan: { selection: jumprelu, penalty: tanh, auxK }, dead: 'all' },
  'AuxK beside ReLU and an L1': { plan: { penalty: l1, auxK: { ...auxK, relu: false } }, dead: 'all' },
  'a decoder of zeros under an L1': { plan: { penalty: l1 }, weights: w => w.wDec.fill(0), steps: 3 },
  'a decoder of zeros under tanh': {
    plan: { selection: jumprelu, penalty: tanh, preAct: { coefficient: 0.1, on: 'all' } },
    weights: w => w.wDec.fill(0),
    steps: 3,
  },
  'a decoder of zeros, normed': {
    plan: { selection: { ...batchtopk, score: 'normed' } },
    weights: w => w.wDec.fill(0, 0, 60),
    steps: 3,
  },
  'thresholds of 0': {
    plan: { selection: jumprelu, penalty: { kind: 'l0', coefficient: 0.1 } },
    weights: w => w.threshold!.fill(0),
    steps: 3,
  },
  'pre-activations on the threshold': {
    plan: { selection: jumprelu, penalty: { kind: 'l0', coefficient: 0.1 } },
    weights: w => {
      exact(w)
      w.threshold!.fill(0.25)
    },
    x: coarse,
  },
  'open gates with negative magnitudes': {
    plan: { selection: { kind: 'gated', frozenDecoder: false }, penalty: l1 },
    weights: w => w.bMag!.fill(-1),
    steps: 3,
  },
  'nothing fires at all': { plan: { penalty: l1 }, weights: w => w.bEnc.fill(-100), steps: 2 },
  'a batch of zeros': { plan: { centred: true, penalty: l1 }, x: x => x.fill(0) },
  'k below one latent a row, over the batch': { plan: { selection: { ...batchtopk, k: 0.4 } } },
}

describe.each(learners.filter(kind => kind !== oracle))('the $name learner', kind => {
  test.each(Object.entries(edges))('%s', async (_name, edge) => {
    const plan: Plan = { ...plainPlan(shape), ...edge.plan }
    const rows = edge.rows ?? 30
    const weights = someSaeWeights(plan, 4)
    edge.weights?.(weights)
    const { batch, x, memory } = await someBatch({ pool, plan, rows, seed: 6 })
    if (edge.x !== undefined) {
      edge.x(x)
      const stored = memory.f32(batch.inputs[0].activations.offset, x.length)
      for (let r = 0; r < rows; r++) stored.set(x.subarray(r * 6, r * 6 + 6), (rows - 1 - r) * 6)
    }
    const open = async ({ create, latentsPerBlock }: typeof kind) => {
      const learner = await create({ pool, plan, batchSize: rows, weights, latentsPerBlock })
      const { dead } = edge
      if (dead !== undefined)
        setDead(
          learner,
          Uint8Array.from({ length: 20 }, (_, i) => Number(dead === 'all' || i === 7)),
        )
      return learner
    }
    const [learner, judge] = [await open(kind), await open(oracle)]
    for (let step = 0; step < (edge.steps ?? 1); step++) {
      const found = await takeStep({ learner, batch, dynamics: steadyDynamics })
      const wanted = await takeStep({ learner: judge, batch, dynamics: steadyDynamics })
      for (const [term, value] of Object.entries(wanted.loss)) {
        const other = found.loss[term as keyof typeof found.loss]!
        expect(Math.abs(other - value!), `${term}: ${other} for ${value}`).toBeLessThanOrEqual(
          tolerance * Math.max(Math.abs(value!), 1e-4),
        )
      }
      expect(Number.isFinite(wanted.norm)).toBe(true)
      expect(Math.abs(found.norm - wanted.norm)).toBeLessThanOrEqual(tolerance * Math.max(wanted.norm, 1e-4))
      for (const name of Object.keys(judge.weights()) as ParameterName[])
        expect(worst(learner.weights()[name]!, judge.weights()[name]!), name).toBeLessThan(tolerance)
      expect([...learner.sums().fired]).toEqual([...judge.sums().fired])
      expect(worst([learner.threshold() ?? -1], [judge.threshold() ?? -1])).toBeLessThan(tolerance)
    }
    await learner.close()
    await judge.close()
    await pool.release(memory)
  })
})

// Learners cut their work into pieces and switch paths with how many latents fire. Here are more rows and latents
// than in a piece, few and many firing, and switches between them: the numbers stay the oracle's.

import type { SaeWeights } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { plainPlan } from '../../testing/example_plans.ts'
import type { ParameterName } from '../../testing/oracle/weights.ts'
import { type Kind, learners, oracle } from '../../testing/suite_learners.ts'
import { setDead, someBatch, someSaeWeights, takeStep, worst } from '../../testing/suite_support.ts'
import type { Learner } from '../learner.ts'
import { type Plan, steadyDynamics } from '../plan.ts'

const rows = 270
const shape = { dIn: 6, dSae: 2100, dOut: 6 }
const tolerance = 1e-4

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const l1 = { kind: 'l1', coefficient: 0.02, normWeighted: true } as const
const l0 = { kind: 'l0', coefficient: 0.02 } as const
const jumprelu = { kind: 'jumprelu', bandwidth: 0.4, steToInput: false } as const
const auxK = { coefficient: 0.5, kAux: 5, normalisation: 'variance', relu: true, scaleByDead: false } as const
const topk = { kind: 'topk', k: 9, score: 'raw' } as const
const batchtopk = { kind: 'batchtopk', k: 9, score: 'raw', thresholdDecay: 0.9 } as const

/** Plans whose number of firing latents is not fixed. */
const free: [string, Partial<Plan>][] = [
  ['l1', { penalty: l1 }],
  [
    'lp, unit',
    { centred: true, decoder: 'unit', penalty: { kind: 'lp', coefficient: 0.02, normWeighted: false } },
  ],
  [
    'gated',
    { centred: true, decoder: 'unit', selection: { kind: 'gated', frozenDecoder: true }, penalty: l1 },
  ],
  ['gated of SAELens', { selection: { kind: 'gated', frozenDecoder: false }, penalty: l1 }],
  ['jumprelu', { centred: true, selection: jumprelu, penalty: l0 }],
  [
    'jumprelu of Anthropic',
    {
      selection: { ...jumprelu, steToInput: true },
      penalty: { kind: 'tanh', coefficient: 0.02, scale: 4, normWeighted: true },
      preAct: { coefficient: 0.01, on: 'all' },
    },
  ],
  [
    'jumprelu with a target, pre-act on dead',
    {
      selection: { ...jumprelu, steToInput: true },
      penalty: { kind: 'target_l0', coefficient: 2, target: 30 },
      preAct: { coefficient: 0.01, on: 'dead' },
    },
  ],
]
const fixed: [string, Partial<Plan>][] = [
  ['topk', { centred: true, decoder: 'unit', selection: topk, auxK }],
  ['topk, normed', { selection: { ...topk, score: 'normed' }, auxK: { ...auxK, relu: false } }],
  ['batchtopk', { centred: true, decoder: 'unit', selection: batchtopk, auxK }],
  [
    'matryoshka, normed',
    {
      selection: { ...batchtopk, score: 'normed' },
      levels: [
        { width: 700, weight: 1 },
        { width: 2100, weight: 0.5 },
      ],
    },
  ],
]

/** Weights with biases lowered until about a hundredth of the latents fire, or unchanged: about half. */
function weightsOf(plan: Plan, firing: 'few' | 'many'): SaeWeights {
  const weights = someSaeWeights(plan, 5)
  const lower = firing === 'few' ? 3.3 : 0
  return {
    ...weights,
    bEnc: weights.bEnc.map(value => value - lower),
    ...(weights.bMag === undefined ? {} : { bMag: weights.bMag.map(value => value - lower) }),
  }
}

/** Every learner against one oracle, step by step. */
async function together(
  change: Partial<Plan>,
  run: (all: {
    set: (weights: (plan: Plan) => SaeWeights) => void
    step: () => Promise<number>
  }) => Promise<void>,
): Promise<void> {
  const plan: Plan = { ...plainPlan(shape), ...change }
  const open = ({ create, latentsPerBlock }: Kind) =>
    create({
      pool,
      plan,
      batchSize: rows,
      weights: weightsOf(plan, 'many'),
      latentsPerBlock: latentsPerBlock === undefined ? undefined : 900,
    })
  const judge = await open(oracle)
  const judged: [string, Learner][] = []
  for (const kind of learners) if (kind !== oracle) judged.push([kind.name, await open(kind)])
  const all = [judge, ...judged.map(([, learner]) => learner)]
  const { batch, memory } = await someBatch({ pool, plan, rows, seed: 3 })
  const dead = Uint8Array.from({ length: shape.dSae }, (_, i) => Number(i % 50 === 7))
  for (const one of all) setDead(one, dead)
  let p = 0.9
  /** @returns L0 */
  const step = async () => {
    p -= 0.1
    const dynamics = { ...steadyDynamics, p }
    const wanted = await takeStep({ learner: judge, batch, dynamics })
    const [weights, sums] = [judge.weights(), judge.sums()]
    const moments = [...judge.state()].filter(([tensor]) => tensor.includes('.moment'))
    for (const [name, learner] of judged) {
      const found = await takeStep({ learner, batch, dynamics })
      for (const [term, value] of Object.entries(wanted.loss)) {
        const off = Math.abs(found.loss[term as keyof typeof found.loss]! - value!)
        expect(off, `${name}: ${term}`).toBeLessThanOrEqual(tolerance * Math.abs(value!))
      }
      expect(Math.abs(found.norm / wanted.norm - 1), name).toBeLessThan(tolerance)
      for (const parameter of Object.keys(weights) as ParameterName[]) {
        const off = worst(learner.weights()[parameter]!, weights[parameter]!)
        expect(off, `${name}: ${parameter}`).toBeLessThan(tolerance)
      }
      const state = learner.state()
      for (const [tensor, values] of moments) {
        // Squares have twice the relative error.
        const bound = tensor.endsWith('2') ? 2 * tolerance : tolerance
        expect(worst(state.get(tensor)!, values), `${name}: ${tensor}`).toBeLessThan(bound)
      }
      expect(worst(learner.sums().fired, sums.fired), name).toBeLessThan(tolerance)
    }
    return wanted.loss.l0
  }
  await run({
    set(weights) {
      for (const one of all) one.setWeights(weights(plan))
    },
    step,
  })
  for (const one of all) await one.close()
  await pool.release(memory)
}

test.each(free)('%s with many latents firing, few, and many again', (_name, change) =>
  together(change, async ({ set, step }) => {
    expect(await step()).toBeGreaterThan(500)
    set(plan => weightsOf(plan, 'few'))
    // The first of these steps still takes the dense path, the second that of the lists.
    for (let i = 0; i < 2; i++) {
      const l0 = await step()
      expect(l0).toBeGreaterThan(3)
      expect(l0).toBeLessThan(80)
    }
    set(plan => weightsOf(plan, 'many'))
    expect(await step()).toBeGreaterThan(500)
  }),
)

test.each(fixed)('%s over several pieces, and after the activations have grown', (_name, change) =>
  together(change, async ({ set, step }) => {
    expect(await step()).toBe(9)
    set(plan => {
      const weights = weightsOf(plan, 'many')
      return { ...weights, wEnc: weights.wEnc.map(value => value * 4) }
    })
    for (let i = 0; i < 2; i++) expect(await step()).toBe(9)
  }),
)

// The same bits on any number of workers, and after a restore at any step, on either path: more rows and latents
// than one piece of work, many latents firing and few.
import { openWorkerPool } from '@mistudio/tensor'
import { expect, test } from 'vitest'
import { plainPlan } from '../../testing/example_plans.ts'
import {
  copyState,
  setDead,
  someBatch,
  someRates,
  someSaeWeights,
  takeStep,
} from '../../testing/suite_support.ts'
import type { LearnerState } from '../learner.ts'
import { type Plan, steadyDynamics } from '../plan.ts'
import { createLearner } from './learner.ts'

const rows = 530
const shape = { dIn: 6, dSae: 1300, dOut: 6 }
const jumprelu = { kind: 'jumprelu', bandwidth: 0.3, steToInput: true } as const
const plans: [string, Partial<Plan>][] = [
  ['l1', { centred: true, penalty: { kind: 'l1', coefficient: 1, normWeighted: true } }],
  [
    'gated',
    {
      selection: { kind: 'gated', frozenDecoder: false },
      penalty: { kind: 'l1', coefficient: 1, normWeighted: true },
    },
  ],
  [
    'jumprelu',
    {
      selection: jumprelu,
      penalty: { kind: 'l0', coefficient: 1 },
      preAct: { coefficient: 0.1, on: 'dead' },
    },
  ],
  ['lp', { decoder: 'unit', penalty: { kind: 'lp', coefficient: 1, normWeighted: false } }],
  [
    'batchtopk, nested, AuxK',
    {
      centred: true,
      decoder: 'unit',
      selection: { kind: 'batchtopk', k: 5, score: 'raw', thresholdDecay: 0.9 },
      levels: [
        { width: 600, weight: 1 },
        { width: 1300, weight: 1 },
      ],
      auxK: { coefficient: 0.5, kAux: 3, normalisation: 'variance', relu: true, scaleByDead: false },
    },
  ],
  [
    'skip transcoder',
    {
      skip: true,
      shape: { dIn: 6, dSae: 1300, dOut: 5 },
      normSegments: [[0, 5]],
      selection: { kind: 'topk', k: 5, score: 'raw' },
    },
  ],
]

test.each(plans)('%s', async (_name, change) => {
  const base = plainPlan(change.shape ?? shape)
  const plan: Plan = { ...base, ...change, deadAfterTokens: 3 * rows }
  const weights = someSaeWeights(plan, 5)
  const few = { ...weights, bEnc: weights.bEnc.map(value => value - 3.3) }
  const steps = 6

  /** Steps [from, steps) on this many workers; biases fall before step 2. @returns the states before each step, and the last */
  async function train(count: number, from: number, start?: LearnerState): Promise<LearnerState[]> {
    const pool = await openWorkerPool({ count })
    const learner = await createLearner({ pool, plan, batchSize: rows, weights })
    const { batch, memory } = await someBatch({ pool, plan, rows, seed: 3 })
    if (start === undefined)
      setDead(
        learner,
        Uint8Array.from({ length: plan.shape.dSae }, (_, i) => Number(i % 40 === 3)),
      )
    else learner.restore(start)
    const states: LearnerState[] = []
    for (let step = from; step < steps; step++) {
      if (step === 2) learner.setWeights(few)
      states.push(copyState(learner.state()))
      const dynamics = { ...steadyDynamics, p: 1 - 0.1 * step }
      await takeStep({ learner, batch, dynamics, rates: someRates })
      if (step === 4) learner.resample({ seed: step })
    }
    states.push(copyState(learner.state()))
    await learner.close()
    await pool.release(memory)
    await pool.close()
    return states
  }

  const states = await train(2, 0)
  const last = states[steps]
  for (const [count, from] of [
    [1, 0],
    [3, 2],
  ]) {
    const again = await train(count, from, from === 0 ? undefined : states[from])
    for (const [name, data] of last)
      expect(again.at(-1)!.get(name), `${name} on ${count} workers from step ${from}`).toEqual(data)
  }
})

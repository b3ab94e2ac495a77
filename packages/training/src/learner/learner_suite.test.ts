// One suite for every learner: the fast one and the oracle keep the same promises, measured against the float64 forward
// pass and gradients. The learners: suite_learners.ts.

import { inferSae } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Example } from '../../testing/example_plans.ts'
import { type Given, type OracleForward, oracleForward, squares } from '../../testing/oracle/forward.ts'
import { oracleGradients, removeParallel } from '../../testing/oracle/gradients.ts'
import { scoresOf } from '../../testing/oracle/selection.ts'
import { batchSums } from '../../testing/oracle/sums.ts'
import {
  latentRows,
  type OracleWeights,
  type ParameterName,
  widen,
  wireNames,
} from '../../testing/oracle/weights.ts'
import { type Kind, learners, oracle } from '../../testing/suite_learners.ts'
import { suitePlans } from '../../testing/suite_plans.ts'
import {
  copyState,
  setDead,
  someBatch,
  someRates,
  someSaeWeights,
  type TestBatch,
  takeStep,
  worst,
} from '../../testing/suite_support.ts'
import { finaliseSae } from '../finish/finalise.ts'
import type { Learner } from '../learner.ts'

const rows = 60
/** Of the largest value of a tensor; float32 keeps 6e-8 of each number. */
const tolerance = 1e-4

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

/** Every third latent but the last is dead: gives AuxK, pre-act losses and resampling something to do. */
const deadMask = (dSae: number) => Uint8Array.from({ length: dSae }, (_, i) => Number(i % 3 === 1))

type Scene = { learner: Learner; test: TestBatch; dead: Uint8Array; end: () => Promise<void> }

/** A learner with dead latents (unless `alive`) and a batch for it. */
async function scene(
  kind: Kind,
  example: Example,
  options: { alive?: boolean; seed?: number } = {},
): Promise<Scene> {
  const { plan } = example
  const seed = options.seed ?? 5
  const weights = someSaeWeights(plan, seed)
  const learner = await kind.create({
    pool,
    plan,
    batchSize: rows,
    weights,
    latentsPerBlock: kind.latentsPerBlock,
  })
  const batch = await someBatch({ pool, plan, rows, seed })
  const dead = options.alive === true ? new Uint8Array(plan.shape.dSae) : deadMask(plan.shape.dSae)
  if (options.alive !== true) setDead(learner, dead)
  const end = async () => {
    await learner.close()
    await pool.release(batch.memory)
  }
  return { learner, test: batch, dead, end }
}

function expected(
  example: Example,
  { learner, test, dead }: Scene,
): { gradients: OracleWeights; forward: OracleForward } {
  const { plan, dynamics } = example
  const x = Float64Array.from(test.x)
  const y = test.x === test.y ? x : Float64Array.from(test.y)
  const given: Given = { plan, weights: widen(plan, learner.weights()), x, y, dynamics, dead }
  const result = oracleGradients(given)
  if (plan.decoder === 'unit') removeParallel(plan, given.weights.wDec, result.gradients.wDec)
  return result
}

/** BatchTopK's θ that selects what this batch selected: between the least score taken and the largest left. */
function betweenScores({ pre, norms, frozen }: OracleForward, { plan }: Example): number | null {
  if (plan.selection.kind !== 'batchtopk') return null
  const scores = scoresOf({ selection: plan.selection, pre, norms })
  let [least, largest] = [Number.POSITIVE_INFINITY, 0]
  scores.forEach((score, at) => {
    if (frozen.open[at] === 1) least = Math.min(least, score)
    else largest = Math.max(largest, score)
  })
  return (least + largest) / 2
}

describe.each(learners)('the $name learner', kind => {
  describe.each(suitePlans)('$name', example => {
    const { plan, dynamics } = example
    const { dSae, dOut } = plan.shape

    test('has the loss terms, sums and gradients of the plan', async () => {
      const now = await scene(kind, example)
      const { learner, test } = now
      const wanted = expected(example, now)
      const { norm, loss } = await takeStep({ learner, batch: test.batch, dynamics })
      for (const [term, value] of Object.entries(wanted.forward.loss)) {
        const found = loss[term as keyof typeof loss]!
        expect(Math.abs(found - value!), `${term}: ${found} for ${value}`).toBeLessThanOrEqual(
          tolerance * Math.max(Math.abs(value!), 1e-6),
        )
      }
      const all = Object.values(wanted.gradients).reduce((sum, values) => sum + squares(values), 0)
      expect(Math.abs(norm / Math.sqrt(all) - 1)).toBeLessThan(tolerance)
      // After the first step Adam's first moment is a tenth of the gradient: a single step would hide its size.
      const state = learner.state()
      for (const name of Object.keys(wanted.gradients) as ParameterName[]) {
        const tenth = wanted.gradients[name]!.map(value => value * (1 - someRates.beta1))
        expect(worst(state.get(`${wireNames[name]}.moment1`)!, tenth), name).toBeLessThan(tolerance)
      }
      const { reconstruction, activations } = wanted.forward
      const sums = batchSums({ y: Float64Array.from(test.y), reconstruction, activations, dOut })
      const found = learner.sums()
      for (const [name, value] of Object.entries(sums)) {
        const other = found[name as keyof typeof found]
        const off =
          typeof value === 'number' ? worst([other as number], [value]) : worst(other as Float64Array, value)
        expect(off, name).toBeLessThan(tolerance)
      }
      expect(found.firing).toBe(sums.firing)
      await now.end()
    })

    test('has the weights of the oracle after 1 and 20 steps', async () => {
      const now = await scene(kind, example)
      const judge = await scene(oracle, example)
      for (let step = 1; step <= 20; step++) {
        await takeStep({ learner: now.learner, batch: now.test.batch, dynamics })
        await takeStep({ learner: judge.learner, batch: now.test.batch, dynamics })
        if (step !== 1 && step !== 20) continue
        const [found, wanted] = [now.learner.weights(), judge.learner.weights()]
        for (const name of Object.keys(wanted) as ParameterName[])
          expect(worst(found[name]!, wanted[name]!), `${name} after ${step} steps`).toBeLessThan(tolerance)
      }
      expect(worst([now.learner.threshold() ?? -1], [judge.learner.threshold() ?? -1])).toBeLessThan(
        tolerance,
      )
      await now.end()
      await judge.end()
    })

    test('learns, and keeps its constraints', async () => {
      const now = await scene(kind, example)
      const { learner, test } = now
      let loss = 0
      const rates = { learningRate: 3e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipScale: 1 }
      const first = (await takeStep({ learner, batch: test.batch, dynamics, rates })).loss.loss
      for (let i = 0; i < 30; i++)
        loss = (await takeStep({ learner, batch: test.batch, dynamics, rates })).loss.loss
      expect(loss).toBeLessThan(first)
      const { wDec, threshold } = learner.weights()
      if (plan.decoder === 'unit') {
        for (const { dec, output } of latentRows(plan)) {
          const norm = Math.hypot(...wDec.subarray(dec, dec + output[1] - output[0]))
          expect(Math.abs(norm - 1)).toBeLessThan(1e-6)
        }
      }
      if (threshold !== undefined) expect(threshold.every(value => value >= 0)).toBe(true)
      await now.end()
    })

    test('goes on bit-equal from a saved state', async () => {
      const one = await scene(kind, example)
      const step = (learner: Learner, i: number) =>
        takeStep({
          learner,
          batch: one.test.batch,
          dynamics: { ...dynamics, p: i < 5 ? dynamics.p : 0.9 * dynamics.p },
        })
      for (let i = 0; i < 4; i++) await step(one.learner, i)
      const saved = copyState(one.learner.state())
      for (let i = 4; i < 8; i++) await step(one.learner, i)
      const two = await scene(kind, example, { seed: 6 })
      two.learner.restore(saved)
      for (let i = 4; i < 8; i++) await step(two.learner, i)
      const [found, wanted] = [two.learner.state(), one.learner.state()]
      expect([...found.keys()]).toEqual([...wanted.keys()])
      for (const [name, data] of wanted) expect(found.get(name), name).toEqual(data)
      expect(two.learner.threshold()).toBe(one.learner.threshold())
      await one.end()
      await two.end()
    })

    test('computes, finished and folded, what it computed while it trained', async () => {
      const now = await scene(kind, example)
      const { learner, test } = now
      for (let i = 0; i < 10; i++) await takeStep({ learner, batch: test.batch, dynamics })
      const weights = learner.weights()
      const x = Float64Array.from(test.x)
      const y = test.x === test.y ? x : Float64Array.from(test.y)
      const given: Given = { plan, weights: widen(plan, weights), x, y, dynamics, dead: null }
      const unfolded = oracleForward(given)
      const scale = 1.7
      const side = (hook: string, width: number) => [{ hook, width }]
      const inputs = side('x', plan.shape.dIn)
      const sae = finaliseSae({
        family: 'any',
        plan,
        weights,
        threshold: betweenScores(unfolded, example),
        normalisers: { inputs: [{ kind: 'scale', scale }], outputs: [{ kind: 'scale', scale }] },
        hooks: { inputs, outputs: x === y ? inputs : side('y', dOut) },
      })
      const { reconstruction } = inferSae({ sae, x: x.map(value => value / scale) })
      const wanted = unfolded.reconstruction.map(value => value / scale)
      expect(worst(reconstruction, wanted)).toBeLessThan(1e-5)
      await now.end()
    })

    test('gives dead latents the start that the oracle gives them', async () => {
      const now = await scene(kind, example)
      const judge = await scene(oracle, example)
      for (const { learner } of [now, judge]) await takeStep({ learner, batch: now.test.batch, dynamics })
      // A dead latent that fired in the step is alive again: make them dead anew.
      for (const { learner, dead } of [now, judge]) setDead(learner, dead)
      const before = now.learner.weights().bDec.slice()
      expect(now.learner.resample({ seed: 3 })).toBe(judge.learner.resample({ seed: 3 }))
      const [found, wanted] = [now.learner.weights(), judge.learner.weights()]
      for (const name of Object.keys(wanted) as ParameterName[])
        expect(worst(found[name]!, wanted[name]!), name).toBeLessThan(tolerance)
      expect(found.bDec).toEqual(before)
      for (const [name, data] of judge.learner.state()) {
        if (name.includes('moment') || name === 'tokens_since_fired')
          expect(worst(now.learner.state().get(name)!, data), name).toBeLessThan(tolerance)
      }
      const { dec, output } = latentRows(plan)[1]
      expect(Math.hypot(...found.wDec.subarray(dec, dec + output[1] - output[0]))).toBeCloseTo(1, 6)
      expect(
        now.learner
          .state()
          .get('tokens_since_fired')!
          .every(tokens => tokens < plan.deadAfterTokens),
      ).toBe(true)
      await now.end()
      await judge.end()
    })

    test('counts which latents are dead only after enough tokens', async () => {
      const window = 3 * rows
      const shorter = { ...example, plan: { ...plan, deadAfterTokens: window } }
      const now = await scene(kind, shorter, { alive: true })
      const { learner, test } = now
      const seen: (number | null)[] = []
      const silent = new Float64Array(dSae)
      let wanted: number | null = null
      const steps = 5
      for (let i = 0; i < steps; i++) {
        // Without a learning rate nothing changes: what fires, fires in every step.
        const rates = { learningRate: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipScale: 1 }
        const { loss } = await takeStep({ learner, batch: test.batch, dynamics, rates })
        seen.push(loss.deadLatents)
        const { fired } = learner.sums()
        wanted = i * rows < window ? null : silent.filter(tokens => tokens >= window).length
        expect(loss.deadLatents, `step ${i}`).toBe(wanted)
        for (let j = 0; j < dSae; j++) silent[j] = fired[j] > 0 ? 0 : silent[j] + rows
      }
      expect(seen[0]).toBeNull()
      expect(seen[steps - 1]).not.toBeNull()
      await now.end()
    })
  })
})

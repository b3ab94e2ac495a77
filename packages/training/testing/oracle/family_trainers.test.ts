// Every learner against the peers' own trainers (oracle/family_trainers.py): the weights after six updates on given
// batches, with the peers' order of projection, clip, Adam and renormalisation, and the running threshold of BatchTopK.
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchSource } from '../../src/learner.ts'
import { type Plan, steadyDynamics } from '../../src/plan.ts'
import { goldenPlans } from '../golden_plans.ts'
import { learners } from '../suite_learners.ts'
import { worst } from '../suite_support.ts'
import { narrow, type ParameterName, parametersOf, widen, wireNames } from './weights.ts'

const file = openSafetensors(
  fileURLToPath(new URL('../../fixtures/family_trainers.safetensors', import.meta.url)),
)
const read = (name: string) => file.read(name).data as Float64Array
const [steps, rows, width] = file.tensors.get('x')!.shape

/** What the peer's trainer does beside the loss. */
type Manner = { beta1: number; clipNorm: number }
const manners: Record<string, Manner> = {
  'dictionary_learning.standard_unit': { beta1: 0.9, clipNorm: 0 },
  'dictionary_learning.p_anneal': { beta1: 0.9, clipNorm: 0 },
  'dictionary_learning.gated_paper': { beta1: 0, clipNorm: 0 },
  'dictionary_learning.topk': { beta1: 0.9, clipNorm: 1 },
  'dictionary_learning.batchtopk': { beta1: 0.9, clipNorm: 1 },
  'dictionary_learning.matryoshka': { beta1: 0.9, clipNorm: 1 },
  'saelens.standard_free': { beta1: 0.9, clipNorm: 1 },
  'saelens.gated_saelens': { beta1: 0.9, clipNorm: 1 },
  'saelens.topk_normed': { beta1: 0.9, clipNorm: 1 },
  'saelens.batchtopk_normed': { beta1: 0.9, clipNorm: 1 },
  'saelens.matryoshka_normed': { beta1: 0.9, clipNorm: 1 },
  'saelens.jumprelu_step': { beta1: 0.9, clipNorm: 1 },
  'saelens.jumprelu_step_to_input': { beta1: 0.9, clipNorm: 1 },
  'saelens.jumprelu_tanh': { beta1: 0.9, clipNorm: 1 },
}

/** The golden case's plan with the trainer's constraint; nothing is dead yet. */
function planOf(name: string): Plan {
  const [peer, golden] = name.split('.')
  const [, plan] = goldenPlans.find(([one]) => one === golden)!
  const selection =
    plan.selection.kind === 'batchtopk' ? { ...plan.selection, thresholdDecay: 0.75 } : plan.selection
  return { ...plan, selection, decoder: peer === 'saelens' ? 'free' : 'unit', deadAfterTokens: 1e9 }
}

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

describe.each(learners)('the $name learner', kind => {
  test.each(Object.entries(manners))('has the weights of %s', async (name, { beta1, clipNorm }) => {
    const plan = planOf(name)
    const given = parametersOf(plan).map(one => [one.name, read(`${name}.in.${wireNames[one.name]}`)])
    const weights = narrow(widen(plan, Object.fromEntries(given)))
    const learner = await kind.create({
      pool,
      plan,
      batchSize: rows,
      weights,
      latentsPerBlock: kind.latentsPerBlock,
    })
    const memory = await pool.memory({ bytes: 65_536 })
    const [activations, order] = [rows * width * 4, rows * 4].map(bytes => ({
      memory: memory.id,
      offset: memory.alloc(bytes),
    }))
    memory.i32(order.offset, rows).set(Int32Array.from({ length: rows }, (_, r) => r))
    const batch: BatchSource = {
      rows: order,
      inputs: [{ activations, width, normaliser: { kind: 'none' } }],
    }
    for (let step = 0; step < steps; step++) {
      memory
        .f32(activations.offset, rows * width)
        .set(read('x').subarray(step * rows * width, (step + 1) * rows * width))
      await learner.load(batch)
      await learner.encode({ ...steadyDynamics, p: 0.7 })
      await learner.decode()
      const norm = await learner.gradients()
      const clipScale = clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1
      await learner.update({ learningRate: 0.01, beta1, beta2: 0.999, epsilon: 1e-8, clipScale })
      await learner.afterStep()
    }
    const found = learner.weights()
    for (const [parameter] of given as [ParameterName][]) {
      const wanted = read(`${name}.out.${wireNames[parameter]}`)
      expect(worst(found[parameter]!, wanted), parameter).toBeLessThan(2e-5)
    }
    if (file.tensors.has(`${name}.threshold`))
      expect(learner.threshold()! / read(`${name}.threshold`)[0]).toBeCloseTo(1, 5)
    await learner.close()
    await pool.release(memory)
  })
})

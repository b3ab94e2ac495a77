// A TopK learner with random data, as the step benchmarks need it: activations as SAELens and we both read them.

import { gaussianStream, type WorkerPool } from '@mistudio/tensor'
import { createLearner, type Learner, steadyDynamics, untrainedSae } from '@mistudio/training'

export type StepShape = { dIn: number; dSae: number; k: number; batchSize: number; deadFraction?: number }

/** The phases of a step, in order. */
export const phases = ['load', 'encode', 'decode', 'gradients', 'update', 'afterStep'] as const
export type PhaseTimes = Record<(typeof phases)[number], number>

/** AuxK as SAELens has it, so that both sides compute the same loss. */
const saelensAux = {
  aux_coefficient: 1,
  aux_relu: false,
  aux_normalisation: 'none',
  aux_scale_by_dead: true,
} as const

const adam = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }

export async function stepSetup(options: { pool: WorkerPool; shape: StepShape }) {
  const { pool, shape } = options
  const { dIn, dSae, k, batchSize, deadFraction = 0 } = shape
  const x = Float32Array.from(
    { length: batchSize * dIn },
    gaussianStream({ seed: 7, purpose: 'bench batch' }),
  )
  const settings = { k, dead_after_tokens: 1e9, ...saelensAux }
  const { member, weights } = untrainedSae({ dIn, dSae, settings, seed: 1 })
  const memory = await pool.memory({ bytes: x.byteLength + batchSize * 4 + 4096 })
  const activations = memory.alloc(x.byteLength)
  memory.f32(activations, x.length).set(x)
  const rows = memory.alloc(batchSize * 4)
  memory.i32(rows, batchSize).set(Int32Array.from({ length: batchSize }, (_, i) => i))
  const place = (offset: number) => ({ memory: memory.id, offset })
  const columns = { activations: place(activations), width: dIn, normaliser: { kind: 'none' } as const }
  const batch = { rows: place(rows), inputs: [columns] }
  const learner = await createLearner({ pool, plan: member.plan, batchSize, weights })
  const dead = Math.round(deadFraction * dSae)

  /** The first `dead` latents stay dead whatever they do, as the peer's mask says too. */
  function forceDead(learner: Learner): void {
    const silent = new Float64Array(dSae)
    silent.fill(1e9, 0, dead)
    const state = new Map(learner.state())
    state.set('tokens_since_fired', silent)
    const [steps] = state.get('counters')!
    state.set('counters', Float64Array.of(steps, 1e9))
    learner.restore(state)
  }

  async function step(): Promise<PhaseTimes> {
    if (dead > 0) forceDead(learner)
    const times = {} as PhaseTimes
    let at = performance.now()
    const lap = (name: keyof PhaseTimes) => {
      const now = performance.now()
      times[name] = now - at
      at = now
    }
    await learner.load(batch)
    lap('load')
    await learner.encode(steadyDynamics)
    lap('encode')
    await learner.decode()
    lap('decode')
    const norm = await learner.gradients()
    lap('gradients')
    await learner.update({ ...adam, clipScale: norm > 1 ? 1 / norm : 1 })
    lap('update')
    await learner.afterStep()
    lap('afterStep')
    return times
  }
  return {
    x,
    weights,
    step,
    loss: () => learner.loss(),
    async close() {
      await learner.close()
      await pool.release(memory)
    },
  }
}

// A learner of any family with a random batch and weights that are given, for the bench of one step.

import type { SaeWeights } from '@mistudio/sae'
import { gaussianStream, type WorkerPool } from '@mistudio/tensor'
import {
  type CompleteMember,
  completeMember,
  createLearner,
  type Learner,
  type Settings,
  type StepLoss,
} from '@mistudio/training'

export type FamilyShape = { dIn: number; dSae: number; batchSize: number }

/** Normal draws [rows, d]. */
export const gaussianRows = (rows: number, d: number, purpose: string): Float32Array =>
  Float32Array.from({ length: rows * d }, gaussianStream({ seed: 7, purpose }))

/**
 * Tied unit rows. Pre-activations of normal rows are then N(0, 1) times one number, so `quantile` decides how many latents
 * fire: b_enc or θ lies where that share of them is exceeded.
 */
export function startingWeights(options: { shape: FamilyShape; below: number; theta: boolean }): SaeWeights {
  const { shape, below, theta } = options
  const { dIn, dSae } = shape
  const wDec = gaussianRows(dSae, dIn, 'bench weights')
  for (let i = 0; i < dSae; i++) {
    const row = wDec.subarray(i * dIn, (i + 1) * dIn)
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
    for (let j = 0; j < dIn; j++) row[j] /= norm
  }
  return {
    wEnc: wDec.slice(),
    wDec,
    bEnc: new Float32Array(dSae).fill(theta ? 0 : -below),
    bDec: new Float32Array(dIn),
    ...(theta && { threshold: new Float32Array(dSae).fill(below) }),
  }
}

export type FamilySetup = {
  member: CompleteMember
  /** Takes one step. @returns milliseconds */
  step(): Promise<number>
  loss(): StepLoss
  close(): Promise<void>
}

export async function familySetup(options: {
  pool: WorkerPool
  family: string
  settings: Settings
  shape: FamilyShape
  weights: SaeWeights
  x: Float32Array
  y?: Float32Array
}): Promise<FamilySetup> {
  const { pool, family, settings, shape, weights, x, y } = options
  const { dIn, dSae, batchSize } = shape
  const totalSteps = 1_000_000
  const member = completeMember({
    member: { name: 'sae', family, inputs: ['x'], outputs: y === undefined ? [] : ['y'], dSae, settings },
    widthOf: () => dIn,
    batchSize,
    totalSteps,
    trainTokens: totalSteps * batchSize,
  })
  const memory = await pool.memory({ bytes: 2 * x.byteLength + batchSize * 4 + 4096 })
  const rowsAt = memory.alloc(batchSize * 4)
  memory.i32(rowsAt, batchSize).set(Int32Array.from({ length: batchSize }, (_, i) => i))
  const columns = [x, ...(y === undefined ? [] : [y])].map(values => {
    const offset = memory.alloc(values.byteLength)
    memory.f32(offset, values.length).set(values)
    return { activations: { memory: memory.id, offset }, width: dIn, normaliser: { kind: 'none' } as const }
  })
  const batch = {
    rows: { memory: memory.id, offset: rowsAt },
    inputs: columns.slice(0, 1),
    ...(y !== undefined && { targets: columns.slice(1) }),
  }
  const learner: Learner = await createLearner({ pool, plan: member.plan, batchSize, weights })
  const rates = { learningRate: 1e-5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
  return {
    member,
    loss: () => learner.loss(),
    async step() {
      const began = performance.now()
      await learner.load(batch)
      // The penalty at full strength, wherever the warm-up would be.
      await learner.encode({ sparsity: 1, p: 1 })
      await learner.decode()
      const norm = await learner.gradients()
      await learner.update({ ...rates, clipScale: norm > 1 ? 1 / norm : 1 })
      await learner.afterStep()
      return performance.now() - began
    },
    async close() {
      await learner.close()
      await pool.release(memory)
    },
  }
}

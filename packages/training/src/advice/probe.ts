// Five seconds of measuring before a training: how fast this machine multiplies, captures and steps, and how large the
// activations are. Steps are measured on a small SAE of the same kind and scaled by their cost, so that the probe takes
// as long for a wide SAE as for a narrow one.

import {
  type BufferMoments,
  type ContextSource,
  createActivationBuffer,
  type Forward,
} from '@mistudio/capture'
import { gaussianStream, gemmSpeed, type WorkerPool } from '@mistudio/tensor'
import { createLearner } from '../learner/learner.ts'
import type { Columns } from '../learner.ts'
import type { CompleteMember } from '../member.ts'
import type { Plan } from '../plan.ts'
import { initialWeights } from '../start/initial_weights.ts'

export type Probe = {
  /** GFLOP/s of a float32 product on all workers. */
  gflops: number
  /** null: there was nothing to capture. */
  captureTokensPerSecond: number | null
  /** For each kind of plan: `costOf` a second. */
  steps: { kind: string; flopsPerSecond: number }[]
  /** Of each hook point captured. */
  scales: Record<string, { meanSquare: number; variance: number; meanNorm: number }>
  seconds: number
}

const gemmShare = 0.2
const captureShare = 0.4
const stepBatch = 512
const stepLatents = 2048

/**
 * @param options.members SAEs whose steps are timed, one of each kind
 * @param options.small the same members with d_sae at most `dSae` and another batch, for measuring
 * @param options.capture where the activations will come from
 * @param options.seconds approximate duration; default 5
 */
export async function probeMachine(options: {
  pool: WorkerPool
  small?: (sizes: { dSae: number; batchSize: number }) => readonly CompleteMember[]
  capture?: { forward: Forward; contextsPerCall: number; source: ContextSource; hooks: readonly string[] }
  seconds?: number
}): Promise<Probe> {
  const { pool, capture, small, seconds = 5 } = options
  const began = performance.now()
  const gflops = await gemmSpeed({ pool, seconds: seconds * gemmShare })
  const captured =
    capture === undefined
      ? undefined
      : await probeCapture({ ...capture, pool, seconds: seconds * captureShare })
  const steps: Probe['steps'] = []
  const kinds = new Set<string>()
  for (const member of small?.({ dSae: stepLatents, batchSize: stepBatch }) ?? []) {
    const kind = planKind(member.plan)
    const spent = (performance.now() - began) / 1000
    if (kinds.has(kind) || (steps.length > 0 && spent > seconds)) continue
    kinds.add(kind)
    steps.push({ kind, flopsPerSecond: await probeStep({ pool, member }) })
  }
  return {
    gflops,
    captureTokensPerSecond: captured?.tokensPerSecond ?? null,
    steps,
    scales: captured?.scales ?? {},
    seconds: (performance.now() - began) / 1000,
  }
}

/** Plans whose steps cost the same. */
export const planKind = ({ selection, auxK, groups, levels, skip }: Plan): string =>
  [
    selection.kind,
    auxK !== null && 'aux',
    groups.length > 1 && 'groups',
    levels.length > 1 && 'levels',
    skip && 'skip',
  ]
    .filter(part => part !== false)
    .join('+')

/**
 * The cost of an early step, in multiplications and additions: the encode's product for every family, five
 * more for those that are dense while most latents fire, the sparse parts by k, and Adam's pass over the weights, whose
 * bytes count as operations.
 */
export function costOf(plan: Plan, batchSize: number): number {
  const { groups, selection, levels } = plan
  const area = groups.reduce(
    (sum, { latents, input, output }) =>
      sum + (latents[1] - latents[0]) * (input[1] - input[0] + output[1] - output[0]),
    0,
  )
  const products = 'k' in selection ? 1 : 6
  const dense = batchSize * area * products
  const sparse =
    'k' in selection ? batchSize * selection.k * (plan.shape.dIn + plan.shape.dOut) * 6 * levels.length : 0
  return dense + sparse + area * 28
}

async function probeCapture(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  source: ContextSource
  hooks: readonly string[]
  seconds: number
}): Promise<{ tokensPerSecond: number; scales: Probe['scales'] }> {
  const { pool, hooks, source, contextsPerCall, seconds } = options
  const contexts = Math.min(contextsPerCall * pool.count, source.contexts)
  const window = await createActivationBuffer({ ...options, contexts, seed: 0 })
  try {
    await window.fill(0)
    const began = performance.now()
    let tokens = 0
    let index = 0
    do {
      tokens += await window.fill(++index)
    } while (performance.now() - began < seconds * 1000)
    const tokensPerSecond = (tokens * 1000) / (performance.now() - began)
    return {
      tokensPerSecond,
      scales: Object.fromEntries(hooks.map(hook => [hook, scaleOf(window.moments(hook))])),
    }
  } finally {
    await window.close()
  }
}

function scaleOf({ tokens, sum, sumSquares, sumNorms }: BufferMoments): Probe['scales'][string] {
  const meanSquare = sumSquares / tokens
  let squaredMean = 0
  for (const value of sum) squaredMean += (value / tokens) ** 2
  return { meanSquare, variance: meanSquare - squaredMean, meanNorm: sumNorms / tokens }
}

/** Two warm-up steps and two that count, on Gaussian rows. @returns cost a second */
async function probeStep(options: { pool: WorkerPool; member: CompleteMember }): Promise<number> {
  const { pool, member } = options
  const { plan, settings, config, hooks } = member
  const rows = stepBatch
  const { dIn, dOut } = plan.shape
  const memory = await pool.memory({ bytes: rows * (dIn + dOut) * 4 + rows * 4 + 4096 })
  const weights = initialWeights({ plan, settings, config, seed: 0 })
  const learner = await createLearner({ pool, plan, batchSize: rows, weights })
  try {
    const at = memory.alloc(rows * 4)
    memory.i32(at, rows).forEach((_, i, all) => {
      all[i] = i
    })
    const draw = gaussianStream({ seed: 0, purpose: 'probe' })
    const columns = (spans: typeof hooks.inputs): Columns[] =>
      spans.map(({ width }) => {
        const offset = memory.alloc(rows * width * 4)
        const values = memory.f32(offset, rows * width)
        for (let i = 0; i < values.length; i++) values[i] = draw()
        return { activations: { memory: memory.id, offset }, width, normaliser: { kind: 'none' } }
      })
    const inputs = columns(hooks.inputs)
    const targets = hooks.outputs === hooks.inputs ? undefined : columns(hooks.outputs)
    const batch = { rows: { memory: memory.id, offset: at }, inputs, targets }
    const rates = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipScale: 1 }
    let began = 0
    for (let step = 0; step < 4; step++) {
      if (step === 2) began = performance.now()
      await learner.load(batch)
      await learner.encode(member.dynamicsAt(step, 0))
      await learner.decode()
      await learner.gradients()
      await learner.update(rates)
      await learner.afterStep()
    }
    return costOf(plan, rows) / ((performance.now() - began) / 2000)
  } finally {
    await learner.close()
    await pool.release(memory)
  }
}

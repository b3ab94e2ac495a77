// Our side of the parity bench: one member trained on batches that lie in files, from weights that are given, through
// the plan that its settings mean and the fast learner. No loop around it: no checkpoints, no fitting of weights.
import { closeSync, openSync, readSync } from 'node:fs'
import type { Sae, SaeWeights } from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { completeMember, createLearner, finaliseSae, learningRateAt, type Settings } from '@mistudio/training'

const none = { kind: 'none' } as const

export async function trainOnFiles(options: {
  pool: WorkerPool
  family: string
  settings: Settings
  /** File of each hook point, in order. */
  inputs: readonly { hook: string; path: string }[]
  outputs: readonly { hook: string; path: string }[]
  width: number
  dSae: number
  batchSize: number
  steps: number
  weights: SaeWeights
}): Promise<{ sae: Sae; seconds: number }> {
  const { pool, family, settings, inputs, outputs, width, dSae, batchSize, steps, weights } = options
  const member = completeMember({
    member: {
      name: 'sae',
      family,
      inputs: inputs.map(({ hook }) => hook),
      outputs: outputs.map(({ hook }) => hook),
      dSae,
      settings,
    },
    widthOf: () => width,
    batchSize,
    totalSteps: steps,
    trainTokens: steps * batchSize,
  })
  const { learningRate, learningRateSchedule, warmUpSteps, decayFraction, clipNorm } = member.settings
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon } = member.settings
  const schedule = {
    shape: learningRateSchedule,
    learningRate: learningRate!,
    warmUpSteps: warmUpSteps!,
    decayFraction,
    totalSteps: steps,
  }
  const bytes = batchSize * width * 4
  const files = [...inputs, ...outputs].map(({ path }) => openSync(path, 'r'))
  const memory = await pool.memory({ bytes: files.length * (bytes + 64) + batchSize * 4 + 64 })
  const rowsAt = memory.alloc(batchSize * 4)
  memory.i32(rowsAt, batchSize).forEach((_, i, rows) => {
    rows[i] = i
  })
  const places = files.map(() => memory.alloc(bytes))
  const columns = places.map(offset => ({
    activations: { memory: memory.id, offset },
    width,
    normaliser: none,
  }))
  const batch = {
    rows: { memory: memory.id, offset: rowsAt },
    inputs: columns.slice(0, inputs.length),
    ...(outputs.length > 0 && { targets: columns.slice(inputs.length) }),
  }
  const learner = await createLearner({ pool, plan: member.plan, batchSize, weights })
  const began = performance.now()
  const staging = new Uint8Array(bytes)
  for (let step = 0; step < steps; step++) {
    files.forEach((file, f) => {
      readSync(file, staging, 0, bytes, step * bytes)
      memory.u8(places[f], bytes).set(staging)
    })
    await learner.load(batch)
    await learner.encode(member.dynamicsAt(step, 0))
    await learner.decode()
    const norm = await learner.gradients()
    const clipScale = clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1
    await learner.update({ learningRate: learningRateAt(schedule, step), beta1, beta2, epsilon, clipScale })
    await learner.afterStep()
    if (process.env.PARITY_LOG && step % 100 === 0) {
      const { loss, l0, deadLatents } = learner.loss()
      console.error(`  step ${step}: loss ${loss.toFixed(3)}, L0 ${l0.toFixed(1)}, dead ${deadLatents}`)
    }
  }
  const seconds = (performance.now() - began) / 1000
  const sae = finaliseSae({
    family,
    plan: member.plan,
    weights: learner.weights(),
    // The EMA, as the peers have it; what a training ends with besides is calibrated.
    threshold: learner.threshold(),
    normalisers: { inputs: inputs.map(() => none), outputs: member.hooks.outputs.map(() => none) },
    hooks: member.hooks,
  })
  await learner.close()
  await pool.release(memory)
  for (const file of files) closeSync(file)
  return { sae, seconds }
}

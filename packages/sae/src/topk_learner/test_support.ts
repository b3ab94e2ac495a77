// What tests of learners share: a batch in shared memory, one step of the loop, weights away from the symmetric start.
import type { Lanes, SharedMemory } from '@mistudio/tensor'
import { gaussianStream } from '../random.ts'
import type { BatchSource, Learner, LearnerState, SaeShape, SaeWeights, StepLoss } from './families.ts'
import { initialWeights } from './topk_weights.ts'

/** Normal draws [rows, d_in], read in order. */
export async function gaussianBatch(options: {
  lanes: Lanes
  rows: number
  dIn: number
  seed: number
}): Promise<{ batch: BatchSource; x: Float32Array; memory: SharedMemory }> {
  const { lanes, rows, dIn, seed } = options
  const memory = await lanes.memory({ bytes: rows * (dIn * 4 + 4) + 4096 })
  const activations = memory.alloc(rows * dIn * 4)
  const index = memory.alloc(rows * 4)
  const draw = gaussianStream({ seed, purpose: 'test batch' })
  const x = Float32Array.from({ length: rows * dIn }, draw)
  memory.f32(activations, x.length).set(x)
  memory.i32(index, rows).set(Int32Array.from({ length: rows }, (_, i) => i))
  const place = (offset: number) => ({ memory: memory.id, offset })
  return { batch: { rows: place(index), activations: place(activations), scale: 1 }, x, memory }
}

/** Untied weights with biases. */
export function untiedWeights({ shape, seed }: { shape: SaeShape; seed: number }): SaeWeights {
  const draw = gaussianStream({ seed: seed + 2, purpose: 'test weights' })
  const weights = initialWeights({ shape, seed })
  for (let i = 0; i < weights.wEnc.length; i++) weights.wEnc[i] += 0.1 * draw()
  for (let i = 0; i < weights.bEnc.length; i++) weights.bEnc[i] = 0.1 * draw()
  for (let i = 0; i < weights.bDec.length; i++) weights.bDec[i] = 0.2 * draw()
  return weights
}

/** One step as the loop takes it. `state` holds views: what a later step changes. */
export async function takeStep(
  learner: Learner,
  batch: BatchSource,
): Promise<{ norm: number; loss: StepLoss; state: LearnerState }> {
  await learner.load(batch)
  await learner.encode()
  await learner.decode()
  const norm = await learner.gradients()
  const loss = learner.loss()
  await learner.update({ learningRate: 1e-3, clipScale: 1 })
  await learner.afterStep()
  return { norm, loss, state: learner.state() }
}

/** Gives latents a history: how many tokens each was silent, and how many were seen in all. */
export function restoreSilence(learner: Learner, silent: Float64Array, tokensSeen: number): void {
  const state = new Map(learner.state())
  state.set('tokens_since_fired', silent)
  state.set('counters', Float64Array.of(0, tokensSeen))
  learner.restore(state)
}

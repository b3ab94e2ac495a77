// What a training tells while it runs: means over the steps since the last event, and how fast it goes.

import { totalVariance } from './metrics.ts'
import type { Learner } from './topk_learner/families.ts'
import type { WindowMoments } from './window.ts'

export type TrainProgress = {
  event: 'training:progress' | 'training:checkpoint' | 'training:completed' | 'training:stopped'
  status: 'training' | 'completed' | 'stopped'
  step: number
  total_steps: number
  tokens: number
  total_tokens: number
  /** Over the stretch since the last event. */
  tokens_per_second: number
  /** null before the first step of this process. */
  eta_seconds: number | null
  learning_rate: number
  saes: MemberProgress[]
}

/**
 * Means over the steps since the last event, null where there was none; `fvu` against the variance of all tokens
 * captured so far.
 */
export type MemberProgress = {
  name: string
  loss: number | null
  mse: number | null
  aux: number | null
  fvu: number | null
  l0: number | null
  /** Latents silent for `dead_after_tokens`; null while fewer tokens were seen. */
  dead_latents: number | null
  grad_norm: number | null
}

/** Sums over the steps since the last event. Squared errors are in the scale of the model's activations. */
export type Stretch = {
  steps: number
  loss: number
  mse: number
  aux: number
  rows: number
  squaredError: number
  firing: number
  gradNorm: number
}

export const emptyStretch = (): Stretch => ({
  steps: 0,
  loss: 0,
  mse: 0,
  aux: 0,
  rows: 0,
  squaredError: 0,
  firing: 0,
  gradNorm: 0,
})

/** Adds the step that the learner has just taken; `scale` is its normalisation scalar. */
export function addStep(stretch: Stretch, step: { learner: Learner; scale: number; norm: number }): void {
  const { learner, scale, norm } = step
  const { loss, mse, aux } = learner.loss()
  const { rows, squaredError, firing } = learner.sums()
  stretch.steps++
  stretch.loss += loss
  stretch.mse += mse
  stretch.aux += aux
  stretch.rows += rows
  stretch.squaredError += squaredError / scale ** 2
  stretch.firing += firing
  stretch.gradNorm += norm
}

export function memberProgress(options: {
  name: string
  stretch: Stretch
  learner: Learner
  moments: WindowMoments | undefined
}): MemberProgress {
  const { name, stretch, learner, moments } = options
  const { steps, rows } = stretch
  const mean = (sum: number) => (steps === 0 ? null : sum / steps)
  const variance = moments === undefined ? 0 : totalVariance(moments) / moments.tokens
  return {
    name,
    loss: mean(stretch.loss),
    mse: mean(stretch.mse),
    aux: mean(stretch.aux),
    fvu: rows > 0 && variance > 0 ? stretch.squaredError / rows / variance : null,
    l0: rows > 0 ? stretch.firing / rows : null,
    dead_latents: learner.loss().deadLatents,
    grad_norm: mean(stretch.gradNorm),
  }
}

/** Measures a run's pace in steps: since the last lap, and since this process began. */
export function createPace(options: { step: number; totalSteps: number; batchSize: number }) {
  const { totalSteps, batchSize } = options
  const began = { at: performance.now(), step: options.step }
  let last = began
  return {
    secondsSinceLap: () => (performance.now() - last.at) / 1000,
    lap(step: number): { tokens_per_second: number; eta_seconds: number | null } {
      const at = performance.now()
      const seconds = Math.max(at - last.at, 1) / 1000
      const rate = ((step - last.step) * batchSize) / seconds
      const mean = (step - began.step) / Math.max(at - began.at, 1)
      last = { at, step }
      const left = step > began.step ? Math.ceil((totalSteps - step) / mean / 1000) : null
      return { tokens_per_second: rate, eta_seconds: left }
    },
  }
}

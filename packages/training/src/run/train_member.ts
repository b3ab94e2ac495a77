// One SAE of a run while it trains: its learner, its normalisers and everything a checkpoint holds of it. A step
// succeeds, ends the SAE (early stop) or fails only this SAE; that is all the loop in train.ts sees of a family.

import type { ActivationBuffer } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import {
  type Normaliser,
  outputsAreInputs,
  type SaeHooks,
  type SaeWeights,
  totalVariance,
} from '@mistudio/sae'
import type { WorkerPool } from '@mistudio/tensor'
import { type EarlyEnd, type EarlyStop, emptyEarlyStop, judgeEarlyStop } from '../finish/early_stop.ts'
import type { BatchSource, Columns, Learner, LearnerOptions } from '../learner.ts'
import type { CompleteMember } from '../member.ts'
import type { Run } from '../run_settings.ts'
import { learningRateAt, type Schedule } from '../schedule.ts'
import { fitInitialWeights } from '../start/fit_weights.ts'
import { initialWeights } from '../start/initial_weights.ts'
import { checkActivations, fitNormaliser, type HookSample } from '../start/normalise.ts'
import {
  addDensity,
  addStep,
  type DensityWindow,
  emptyDensity,
  emptyInterval,
  type Interval,
  type TargetMoments,
  type ThresholdStatistics,
} from './train_progress.ts'
import { emptyHistory, judgeActivations, once, type Warning, type WarningHistory } from './warnings.ts'

export type CreateLearner = (options: LearnerOptions) => Promise<Learner>

export type RunningMember = {
  member: CompleteMember
  learner: Learner
  schedule: Schedule
  /** By hook point; fitted to the first buffer. */
  normalisers: Map<string, Normaliser>
  /** Whether the caller gave initial weights. */
  given: boolean
  step: number
  moments: TargetMoments
  earlyStop: EarlyStop
  /** Set by the step that ends the SAE early. */
  early: EarlyEnd | null
  resampled: number
  /** θ at the start, of JumpReLU. */
  startThreshold: Float32Array | undefined
  /** θ as last reported, and when. */
  thresholds: { at: number; statistics: ThresholdStatistics } | undefined
  history: WarningHistory
  /** Not yet reported. */
  warnings: Warning[]
  interval: Interval
  /** Sums that fade (fadingOf): how good the SAE is now, the same after a resume. */
  recent: Recent
  deadLatents: number | null
  density: DensityWindow
}

export type Recent = { rows: number; squaredError: number; firing: number }

/** Decay per step of the fading sums: over a tenth of the run, at most about 50 steps. */
const fadingOf = ({ totalSteps }: Run): number => 1 - 1 / Math.max(1, Math.min(50, totalSteps / 10))

/** The outcome of a step. */
export type StepOutcome = { kind: 'on' } | { kind: 'failed'; error: string }

export async function openMember(options: {
  pool: WorkerPool
  member: CompleteMember
  run: Run
  createLearner: CreateLearner
  /** Instead of those drawn from the seed. */
  weights?: SaeWeights
}): Promise<RunningMember> {
  const { pool, member, run, createLearner } = options
  const { plan, settings, config } = member
  checkRowNormalisation(member)
  const weights = options.weights ?? initialWeights({ plan, settings, config, seed: run.seed })
  const { dOut } = plan.shape
  return {
    member,
    learner: await createLearner({ pool, plan, batchSize: run.batchSize, weights }),
    schedule: {
      shape: settings.learningRateSchedule,
      learningRate: settings.learningRate!,
      warmUpSteps: settings.warmUpSteps!,
      decayFraction: settings.decayFraction,
      totalSteps: run.totalSteps,
    },
    normalisers: new Map(),
    given: options.weights !== undefined,
    step: 0,
    moments: { rows: 0, sum: new Float64Array(dOut), sumSquares: new Float64Array(dOut) },
    earlyStop: emptyEarlyStop(),
    early: null,
    resampled: 0,
    startThreshold: undefined,
    thresholds: undefined,
    history: emptyHistory(),
    warnings: [],
    interval: emptyInterval(),
    recent: { rows: 0, squaredError: 0, firing: 0 },
    deadLatents: null,
    density: emptyDensity(plan.deadAfterTokens),
  }
}

/** Hook points of a member, each once. */
export const hooksOf = ({ inputs, outputs }: SaeHooks): string[] => [
  ...new Set([...inputs, ...outputs].map(({ hook }) => hook)),
]

/** Fits what depends on the first buffer: normalisers, then the weights to the first batch. */
export async function initialiseMember(options: {
  pool: WorkerPool
  running: RunningMember
  buffer: ActivationBuffer
  count: number
  run: Run
}): Promise<void> {
  const { pool, running, buffer, count, run } = options
  const { member, learner } = running
  const { plan, settings, hooks } = member
  for (const { hook, width } of [...hooks.inputs, ...hooks.outputs]) {
    if (running.normalisers.has(hook)) continue
    const moments = buffer.moments(hook)
    const { rows } = buffer
    const sample: HookSample = { hook, width, moments, rows, count, activations: buffer.activations(hook) }
    checkActivations(sample, 0)
    running.normalisers.set(hook, await fitNormaliser({ pool, kind: settings.normalisation, sample }))
    running.warnings.push(
      ...once(
        judgeActivations({ hook, normalisation: settings.normalisation, ...elements(sample) }),
        running.history,
        0,
      ),
    )
  }
  const weights = learner.weights()
  await learner.load(batchOf({ running, buffer, first: 0 }))
  const { x, y } = learner.loaded()
  const fitted = fitInitialWeights({ plan, settings, weights, x, y, rows: run.batchSize, seed: run.seed })
  // Given weights keep their b_dec unless one is to be fitted.
  const kept = running.given && settings.bDecInit === 'zero' ? { bDec: weights.bDec } : {}
  learner.setWeights({ ...fitted, ...kept })
  running.startThreshold = learner.weights().threshold?.slice()
}

/** Standard deviation and mean over all elements. */
function elements({ width, moments }: HookSample): { std: number; mean: number } {
  const count = moments.tokens * width
  const mean = moments.sum.reduce((sum, value) => sum + value, 0) / count
  return { std: Math.sqrt(Math.max(0, moments.sumSquares / count - mean ** 2)), mean }
}

/** Rows `first` … of the buffer's order. */
function batchOf(options: { running: RunningMember; buffer: ActivationBuffer; first: number }): BatchSource {
  const { running, buffer, first } = options
  const { hooks } = running.member
  const columns = ({ hook, width }: { hook: string; width: number }): Columns => ({
    activations: buffer.activations(hook),
    width,
    normaliser: running.normalisers.get(hook)!,
  })
  const rows = { ...buffer.rows, offset: buffer.rows.offset + first * 4 }
  const inputs = hooks.inputs.map(columns)
  return outputsAreInputs(hooks) ? { rows, inputs } : { rows, inputs, targets: hooks.outputs.map(columns) }
}

/** One step on the batch that begins at row `first` of the buffer's order. Never throws: an error fails only this SAE. */
export async function stepMember(options: {
  running: RunningMember
  buffer: ActivationBuffer
  first: number
  run: Run
}): Promise<StepOutcome> {
  const { running } = options
  try {
    return await takeStep(options)
  } catch (error) {
    return {
      kind: 'failed',
      error: `step ${running.step}: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
}

async function takeStep(options: Parameters<typeof stepMember>[0]): Promise<StepOutcome> {
  const { running, run } = options
  const { learner, member, moments } = running
  const { settings } = member
  const { step } = running
  await learner.load(batchOf(options))
  await learner.encode(member.dynamicsAt(step, run.seed))
  await learner.decode()
  const norm = await learner.gradients()
  const loss = learner.loss()
  if (!Number.isFinite(loss.loss + norm)) {
    return {
      kind: 'failed',
      error: `training diverged: the loss is ${loss.loss}, the gradient's norm ${norm} at step ${step}`,
    }
  }
  const { clipNorm } = settings
  await learner.update({
    learningRate: learningRateAt(running.schedule, step),
    beta1: settings.adamBeta1,
    beta2: settings.adamBeta2,
    epsilon: settings.adamEpsilon,
    clipScale: clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1,
  })
  await learner.afterStep()
  const sums = learner.sums()
  moments.rows += sums.rows
  for (let j = 0; j < moments.sum.length; j++) {
    moments.sum[j] += sums.sum[j]
    moments.sumSquares[j] += sums.sumSquares[j]
  }
  addStep(running.interval, { loss, sums, norm })
  addDensity(running.density, sums)
  running.step++
  const { resampleEverySteps } = settings
  // Not in the last interval: a restarted latent needs time to learn.
  if (
    resampleEverySteps > 0 &&
    running.step % resampleEverySteps === 0 &&
    running.step + resampleEverySteps <= run.totalSteps
  ) {
    running.resampled += learner.resample({ seed: run.seed + running.step })
  }
  const squaredError = sums.squaredError.reduce((sum, value) => sum + value, 0)
  const { recent } = running
  const fading = fadingOf(run)
  recent.rows = fading * recent.rows + sums.rows
  recent.squaredError = fading * recent.squaredError + squaredError
  recent.firing = fading * recent.firing + sums.firing
  running.deadLatents = loss.deadLatents
  const variance = varianceOf(moments)
  const { earlyStop: state } = running
  running.early = judgeEarlyStop({ state, rows: sums.rows, squaredError, variance, settings: run }) ?? null
  return { kind: 'on' }
}

const varianceOf = ({ rows, sum, sumSquares }: TargetMoments): number =>
  totalVariance({ tokens: rows, sum, sumSquares }) / rows

/** FVU and L0 over the newest steps (fadingOf), later ones weighing more; null before the first. */
export function recentFigures({ recent, moments }: RunningMember): { fvu: number | null; l0: number | null } {
  const { rows, squaredError, firing } = recent
  if (rows === 0) return { fvu: null, l0: null }
  const variance = varianceOf(moments)
  return { fvu: variance > 0 ? squaredError / rows / variance : null, l0: firing / rows }
}

/** @throws InputError: the scale of rows that are not read is unknown at inference */
function checkRowNormalisation({ settings, hooks, name }: CompleteMember): void {
  const { normalisation } = settings
  if (outputsAreInputs(hooks) || (normalisation !== 'token_rms' && normalisation !== 'layer_norm')) return
  throw new InputError({
    message: 'rows that an SAE predicts but does not read cannot be normalised row by row',
    field: 'normalisation, hook_out',
    found: `${normalisation}, ${hooks.outputs.map(({ hook }) => hook).join(', ')} (${name})`,
    expected: 'none, expected_average or whiten',
  })
}

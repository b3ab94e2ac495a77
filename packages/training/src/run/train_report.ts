// What is reported for one SAE: with every event while it trains, and after it has ended.

import type { Finishing, TrainedSae } from '../finish/train_finish.ts'
import type { CompleteMember } from '../member.ts'
import type { Run } from '../run_settings.ts'
import { learningRateAt } from '../schedule.ts'
import { type RunningMember, recentFigures } from './train_member.ts'
import {
  coefficientNow,
  deadFigures,
  densityFigures,
  emptyInterval,
  intervalFigures,
  type MemberProgress,
  type MemberStatus,
  type ThresholdStatistics,
  thresholdStatistics,
} from './train_progress.ts'
import { judge } from './warnings.ts'

/** Figures since the last event; begins the next interval. */
export function memberReport(options: {
  running: RunningMember
  run: Run
  status: MemberStatus
}): MemberProgress {
  const { running, run, status } = options
  const { member, learner, interval, moments, step, startThreshold } = running
  const { plan, family, name, settings } = member
  const last = Math.max(step - 1, 0)
  const figures = intervalFigures(interval, moments)
  const dead = deadFigures(learner, interval.steps > 0, plan)
  const threshold = startThreshold === undefined ? null : thresholdsNow(running, startThreshold)
  const seen = {
    step,
    totalSteps: run.totalSteps,
    loss: figures.loss,
    l0: figures.l0,
    deadLatents: dead.dead_latents,
    thresholds: threshold,
  }
  const fresh = interval.steps === 0 ? [] : judge({ plan, settings, seen, history: running.history })
  const warnings = [...running.warnings, ...fresh]
  running.warnings = []
  running.interval = emptyInterval()
  return {
    name,
    family: family.name,
    status,
    error: null,
    step,
    ...figures,
    ...dead,
    ...densityFigures(running.density),
    learning_rate: learningRateAt(running.schedule, last),
    sparsity_coefficient: coefficientNow(plan, member.dynamicsAt(last, run.seed)),
    threshold,
    threshold_ema: learner.threshold(),
    resampled_latents: running.resampled,
    warnings,
    warned: [...running.history.said],
  }
}

/** Reading θ copies all weights, so at most every ten seconds. */
function thresholdsNow(running: RunningMember, start: Float32Array): ThresholdStatistics | null {
  const { thresholds, learner } = running
  if (thresholds !== undefined && performance.now() - thresholds.at < 10_000) return thresholds.statistics
  const now = learner.weights().threshold
  if (now === undefined) return null
  const statistics = thresholdStatistics(now, start)
  running.thresholds = { at: performance.now(), statistics }
  return statistics
}

/** The report of an SAE that ended in an earlier process: how it ended, no figures. */
export function endedReport(sae: TrainedSae, member: CompleteMember): MemberProgress {
  const { plan } = member
  const nothing = { rows: 0, sum: new Float64Array(0), sumSquares: new Float64Array(0) }
  return {
    name: sae.name,
    family: sae.family,
    status: sae.status,
    error: sae.error,
    step: sae.step,
    ...intervalFigures(emptyInterval(), nothing),
    ...deadFigures(undefined, false, plan),
    ...densityFigures({ tokens: 0, halves: [] }),
    fvu: sae.fvu,
    l0: sae.l0,
    dead_latents: sae.deadLatents,
    learning_rate: 0,
    sparsity_coefficient: null,
    threshold: null,
    threshold_ema: sae.threshold?.ema ?? null,
    resampled_latents: 0,
    warnings: [],
    warned: [],
  }
}

/** An SAE as it ends; `memberReport` has been called just before. */
export function finishingOf(running: RunningMember, status: 'completed' | 'stopped'): Finishing {
  const { member, learner, normalisers } = running
  return {
    member,
    weights: learner.weights(),
    emaThreshold: learner.threshold(),
    normalisers,
    result: { ...resultOf(running), status, error: null, checkpoint: null },
  }
}

export function failedSae(options: {
  running: RunningMember
  error: string
  checkpoint: number | null
}): TrainedSae {
  const { running, error, checkpoint } = options
  return { ...resultOf(running), status: 'failed', error, checkpoint, dir: null, threshold: null }
}

function resultOf(running: RunningMember) {
  const { member, step, moments, early, deadLatents } = running
  const { name, family, hooks, plan } = member
  return {
    name,
    family: family.name,
    inputs: hooks.inputs.map(({ hook }) => hook),
    outputs: hooks.outputs.map(({ hook }) => hook),
    dSae: plan.shape.dSae,
    k: 'k' in plan.selection ? plan.selection.k : null,
    early,
    step,
    tokens: moments.rows,
    deadLatents,
    ...recentFigures(running),
  }
}

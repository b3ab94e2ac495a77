// The training loop: every SAE of a run takes one step on the same tokens, captured once. An SAE may end, be stopped or
// fail alone; the others go on.
// All randomness is a function of (seed, position), all sums have fixed blocks, so a run that was killed and
// resumed ends with the same bits as one that never stopped (same CPU type, versions and runtime).

import { type ContextSource, captureWindows, type Forward, type WindowSource } from '@mistudio/capture'
import { checkSettings, InputError } from '@mistudio/files'
import type { SaeWeights } from '@mistudio/sae'
import type { Lanes } from '@mistudio/tensor'
import { finishMembers, type TrainedSae } from '../finish/train_finish.ts'
import { createLearner as createFastLearner } from '../learner/learner.ts'
import type { LearnerState } from '../learner.ts'
import type { CompleteMember, TrainMember } from '../member.ts'
import { checkWindow, completeRun, type GivenRun, type Run } from '../run_settings.ts'
import { type Checkpoint, readCheckpoint, type StoredMember, writeCheckpoint } from './checkpoint.ts'
import { retain } from './retention.ts'
import {
  type CreateLearner,
  hooksOf,
  initialiseMember,
  openMember,
  type RunningMember,
  recentFigures,
  stepMember,
} from './train_member.ts'
import { isStoredTraining, restoreMember, storeMember } from './train_member_state.ts'
import { createPace, type MemberProgress, type TrainProgress } from './train_progress.ts'
import { earlierTraining, writeTraining } from './train_record.ts'
import { endedReport, failedSae, finishingOf, memberReport } from './train_report.ts'
import { completeMembers, describeRun } from './train_settings.ts'

/** Asked between steps. `pause`: a checkpoint and no more; `stop`: the SAEs are saved as they are as well. */
export type Control =
  | { kind: 'run' }
  | { kind: 'pause' }
  | { kind: 'stop' }
  /** Ends one SAE and saves it; the others go on. */
  | { kind: 'stop_sae'; name: string }

export type TrainResult = {
  /** `completed`: no SAE has steps left to take, though some may have failed; `failed`: all did. */
  status: 'completed' | 'stopped' | 'paused' | 'failed'
  step: number
  tokens: number
  /** Those that ended; all of them unless the run is paused. */
  saes: TrainedSae[]
}

export type TrainOptions = {
  lanes: Lanes
  members: readonly TrainMember[]
  settings: GivenRun
  /** Default: the fast learner. */
  createLearner?: CreateLearner
  /** Initial weights by member's name, default drawn from the seed. They are fitted to the first batch like those. */
  initialWeights?: ReadonlyMap<string, SaeWeights>
  modelName: string
  datasets: readonly string[]
  /** SAEs are saved to `<out>/<name>`, checkpoints to `<out>/checkpoints/<step>`. */
  out: string
  resume?: boolean
  /** Where model and datasets lie, as plain JSON: kept in checkpoints for `sae finalise`, never compared. */
  origin?: unknown
  control?: () => Control
  /** A shorter form of `control`: true stops. */
  stopped?: () => boolean
  onEvent?: (progress: TrainProgress) => void
} & (Captured | { windows: WindowSource })

/** Activations captured from a model that has every hook point as an output of one pass. */
type Captured = { forward: Forward; contextsPerCall: number; source: ContextSource }

/** A run with everything chosen and checked. */
export type PlannedRun = {
  run: Run
  windows: WindowSource
  members: CompleteMember[]
  described: Record<string, unknown>
}

/** Completes and checks what a training would do, without doing it. @throws InputError for settings that cannot work */
export function planTraining(options: TrainOptions): PlannedRun {
  const windows = 'windows' in options ? options.windows : captureWindows(options)
  const run = completeRun(options.settings, windows)
  const members = completeMembers({ members: options.members, run, widthOf: windows.widthOf })
  const { modelName, datasets } = options
  const { contextSize } = windows
  return { run, windows, members, described: describeRun({ run, members, modelName, datasets, contextSize }) }
}

/**
 * Trains all members and saves them.
 * @throws InputError for settings that cannot work; Error with every SAE's reason when all of them failed
 */
export async function trainSaes(options: TrainOptions): Promise<TrainResult> {
  const { lanes, out, origin, onEvent = () => {}, createLearner = createFastLearner } = options
  const { run, windows, members, described } = planTraining(options)
  const { totalSteps, batchSize, seed } = run
  const earlier = earlierTraining({ out, settings: described, resume: options.resume === true })
  if (earlier !== undefined) {
    // A crash may have come between the record and this.
    dropCheckpoints(earlier, options)
    return earlier
  }
  const saved = options.resume ? readCheckpoint({ out }) : undefined
  if (saved !== undefined) checkSettings({ file: saved.file, saved: saved.state.settings, asked: described })

  const hooks = [...new Set(members.flatMap(member => hooksOf(member.hooks)))]
  const window = await windows.open({
    hooks,
    contexts: run.windowContexts,
    seed,
    storedDtype: run.storedDtype,
    outlierNormMultiple: run.outlierNormMultiple,
  })
  /** Those that still train; how the others ended; what was last told of those. All by name. */
  const running = new Map<string, RunningMember>()
  const ended = new Map<string, TrainedSae>()
  const lastTold = new Map<string, MemberProgress>()
  let { step, window: windowIndex, batch } = saved?.state ?? { step: 0, window: 0, batch: 0 }
  const outliers: Record<string, number> = { ...saved?.state.outliers }
  /** Whole batches of the window that is captured; 0 where it has to be captured first. */
  let batches = 0
  let checkpointed = { step: saved?.state.step ?? null, at: performance.now() }
  const pace = createPace({ step, totalSteps, batchSize })

  try {
    for (const member of members) await open(member)
    let status: 'completed' | 'stopped' | 'paused' = 'completed'
    while (step < totalSteps && running.size > 0) {
      const asked = control()
      if (asked.kind === 'pause' || asked.kind === 'stop') {
        status = asked.kind === 'pause' ? 'paused' : 'stopped'
        break
      }
      if (asked.kind === 'stop_sae' && step > 0) {
        await end([asked.name], 'stopped')
        continue
      }
      if (batch >= batches) {
        await nextWindow()
        if (batch >= batches) continue
      }
      for (const [name, member] of running) {
        const outcome = await stepMember({ running: member, window, first: batch * batchSize, run })
        if (outcome.kind === 'failed') await fail(name, outcome.error)
      }
      step++
      batch++
      const early = [...running.values()].filter(member => member.early !== null)
      if (early.length > 0) await end(early.map(namesOf), 'completed')
      if (step < totalSteps && running.size > 0 && checkpointDue()) {
        await checkpoint()
        report('training:checkpoint', 'training')
      } else if (pace.secondsSinceLap() >= 1) report('training:progress', 'training')
    }
    // Before the first step there is nothing to keep: no SAE is fitted to anything yet.
    if (status !== 'completed' && step > 0) await checkpoint()
    if (status !== 'paused' && step > 0) await end([...running.keys()], status)
    const result: TrainResult = {
      status,
      step,
      tokens: step * batchSize,
      saes: members.flatMap(({ name }) => ended.get(name) ?? []),
    }
    const failed = result.saes.length > 0 && result.saes.every(sae => sae.status === 'failed')
    writeTraining({ out, settings: described, result: failed ? { ...result, status: 'failed' } : result })
    report(status === 'completed' ? 'training:completed' : 'training:stopped', status)
    // The last checkpoint holds them as they were: --resume tries again from there.
    if (failed) throw allFailed(result)
    if (status === 'completed') dropCheckpoints(result, options)
    return result
  } finally {
    for (const { learner } of running.values()) await learner.close()
    await window.close()
  }

  function control(): Control {
    if (options.stopped?.() === true) return { kind: 'stop' }
    const asked = options.control?.() ?? { kind: 'run' }
    return asked.kind === 'stop_sae' && !running.has(asked.name) ? { kind: 'run' } : asked
  }

  /** Opens an SAE where the checkpoint left it, or from the start; one that ended before is not opened. */
  async function open(member: CompleteMember) {
    const { name } = member
    const stored = saved?.state.members[name]
    if (stored !== undefined && stored.status !== 'training') {
      const sae = endedOf(stored, saved!.file, name)
      ended.set(name, sae)
      lastTold.set(name, endedReport(sae, member))
      return
    }
    const weights = options.initialWeights?.get(name)
    const opened = await openMember({ lanes, member, run, createLearner, weights })
    running.set(name, opened)
    if (saved !== undefined) restoreFrom(saved, opened)
  }

  /** Captures the next window, or this one again after a resume or a calibration. */
  async function nextWindow() {
    const again = batches === 0 && step > 0
    if (batches > 0) {
      windowIndex++
      batch = 0
    }
    const usable = await window.fill(windowIndex)
    checkWindow({ run, usable, window: windowIndex })
    batches = Math.floor(usable / batchSize)
    if (!again) for (const hook of hooks) outliers[hook] = (outliers[hook] ?? 0) + window.outliers(hook)
    if (step > 0) return
    for (const member of running.values())
      await initialiseMember({ lanes, running: member, window, count: usable, run })
  }

  /** Finishes SAEs that end at this step; the others go on. */
  async function end(names: readonly string[], as: 'completed' | 'stopped') {
    const ending = names.map(name => running.get(name)!)
    for (const member of ending)
      lastTold.set(namesOf(member), memberReport({ running: member, run, status: as }))
    const calibration = {
      window,
      first: windowIndex + 1,
      windows: Math.ceil(windows.contexts / run.windowContexts),
    }
    const { modelName, datasets } = options
    const context = { lanes, run, out, modelName, datasets, contextSize: windows.contextSize, calibration }
    for (const sae of await finishMembers(
      ending.map(member => finishingOf(member, as)),
      context,
    )) {
      ended.set(sae.name, sae)
    }
    for (const member of ending) {
      running.delete(namesOf(member))
      await member.learner.close()
    }
    // A calibration has put other tokens into the window.
    if (ending.some(({ member }) => member.plan.selection.kind === 'batchtopk')) batches = 0
  }

  /** Takes an SAE out of the run; what it was at the last checkpoint stays, to try it again. */
  async function fail(name: string, error: string) {
    const member = running.get(name)!
    const kept = checkpointed.step
    const sae = failedSae({ running: member, error, checkpoint: kept })
    ended.set(name, sae)
    lastTold.set(name, { ...memberReport({ running: member, run, status: 'failed' }), error })
    running.delete(name)
    await member.learner.close()
  }

  function checkpointDue(): boolean {
    const { checkpointEverySteps: steps, checkpointEverySeconds: seconds } = run
    return steps > 0 ? step % steps === 0 : performance.now() - checkpointed.at >= seconds * 1000
  }

  async function checkpoint() {
    const stored: Record<string, StoredMember> = {}
    const saes = new Map<string, LearnerState>()
    for (const [name, sae] of ended) stored[name] = { status: sae.status, sae }
    for (const [name, member] of running) {
      const parts = storeMember(member)
      stored[name] = parts.stored
      saes.set(name, parts.tensors)
    }
    const fvus = [...running.values()].flatMap(member => recentFigures(member).fvu ?? [])
    const fvu = fvus.length === 0 ? null : fvus.reduce((sum, value) => sum + value, 0) / fvus.length
    const position = { step, window: windowIndex, batch }
    checkBudget(saes, run)
    await writeCheckpoint({
      out,
      saes,
      state: { settings: described, ...position, members: stored, fvu, outliers, origin },
    })
    retain({ out, retention: run, pinned: pinnedBy([...ended.values()]) })
    checkpointed = { step, at: performance.now() }
  }

  function report(event: TrainProgress['event'], status: TrainProgress['status']) {
    const saes = members.map(({ name }) => {
      const member = running.get(name)
      return member === undefined
        ? lastTold.get(name)!
        : memberReport({ running: member, run, status: 'training' })
    })
    onEvent({
      event,
      status,
      step,
      total_steps: totalSteps,
      tokens: step * batchSize,
      total_tokens: totalSteps * batchSize,
      ...pace.lap(step),
      learning_rate: (saes.find(sae => sae.status === 'training') ?? saes[0]).learning_rate,
      memory_bytes: process.memoryUsage.rss(),
      outlier_tokens: { ...outliers },
      saes,
    })
    // What was told of those that ended is told once more, without its warnings.
    for (const [name, told] of lastTold) lastTold.set(name, { ...told, warnings: [] })
  }
}

const namesOf = ({ member }: RunningMember): string => member.name

/** @throws InputError when the checkpoint is of another kind of training */
function restoreFrom(saved: Checkpoint, running: RunningMember): void {
  const { name } = running.member
  const stored = saved.state.members[name]
  if (stored === undefined || !isStoredTraining(stored)) throw unreadableMember(saved.file, name)
  restoreMember(running, stored, saved.tensorsOf(name))
}

function endedOf(stored: StoredMember, file: string, name: string): TrainedSae {
  const { sae } = stored
  if (typeof sae === 'object' && sae !== null && 'name' in sae && sae.name === name) return sae as TrainedSae
  throw unreadableMember(file, name)
}

const unreadableMember = (file: string, name: string) =>
  new InputError({
    message: 'the checkpoint cannot be read',
    file,
    field: `members.${name}`,
    expected: 'the state of an SAE in training',
  })

/** @throws InputError before anything is written */
function checkBudget(saes: ReadonlyMap<string, LearnerState>, { diskBudgetBytes: budget }: Run): void {
  if (budget === null) return
  let bytes = 0
  for (const tensors of saes.values()) for (const data of tensors.values()) bytes += data.byteLength
  if (bytes <= budget) return
  throw new InputError({
    message: 'one checkpoint does not fit the disk budget',
    field: 'disk_budget_bytes',
    found: String(budget),
    expected: `at least ${bytes}, the bytes of one checkpoint`,
  })
}

/** Checkpoints that failed SAEs can be tried again from. */
const pinnedBy = (saes: readonly TrainedSae[]): number[] =>
  saes.flatMap(sae => (sae.status === 'failed' ? (sae.checkpoint ?? []) : []))

/** A complete run keeps what failed SAEs need, and the rest only where that was asked for. */
function dropCheckpoints({ saes }: TrainResult, { out, settings }: TrainOptions): void {
  if (settings.keepAtEnd === true) return
  retain({ out, retention: { keepLast: 0, keepBest: false, diskBudgetBytes: null }, pinned: pinnedBy(saes) })
}

/** Every reason, when nothing is left of a run. */
function allFailed({ saes }: TrainResult): Error {
  const reasons = saes.map(({ name, error, checkpoint }) => {
    const kept =
      checkpoint === null ? 'there is no checkpoint yet' : `the last good checkpoint is of step ${checkpoint}`
    return `${name}: ${error}; ${kept}`
  })
  return new Error(reasons.join('\n'))
}

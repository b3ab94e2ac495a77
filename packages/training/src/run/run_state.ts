// The state of a run in progress: its position, which SAEs train, which have ended, and the current activations. One plain
// object, changed here and in run_end.ts, run_checkpoint.ts and run_report.ts. The loop is in train.ts.
import type { ActivationBuffer } from '@mistudio/capture'
import { InputError } from '@mistudio/files'
import type { TrainedSae } from '../finish/train_finish.ts'
import { createLearner } from '../learner/learner.ts'
import type { CompleteMember } from '../member.ts'
import { checkWindow } from '../run_settings.ts'
import type { Checkpoint, StoredMember } from './checkpoint.ts'
import type { PlannedRun, TrainOptions } from './run_plan.ts'
import { hooksOf, initialiseMember, openMember, type RunningMember, stepMember } from './train_member.ts'
import { isStoredTraining, restoreMember } from './train_member_state.ts'
import { createPace, type MemberProgress } from './train_progress.ts'
import { endedReport } from './train_report.ts'

export type RunState = {
  readonly options: TrainOptions
  readonly planned: PlannedRun
  readonly hooks: readonly string[]
  readonly buffer: ActivationBuffer
  /** Those still training; how the others ended; their last reports. All by name. */
  readonly running: Map<string, RunningMember>
  readonly ended: Map<string, TrainedSae>
  readonly lastReported: Map<string, MemberProgress>
  /** Steps taken; the current buffer, and the next batch in it. */
  step: number
  bufferIndex: number
  batch: number
  /** Whole batches in the captured buffer; 0 if it must be captured first. */
  batches: number
  readonly outliers: Record<string, number>
  checkpointed: { step: number | null; at: number }
  readonly pace: ReturnType<typeof createPace>
}

/** @param options.saved the checkpoint to continue from; default from the start */
export async function openRun(options: {
  options: TrainOptions
  planned: PlannedRun
  saved: Checkpoint | undefined
}): Promise<RunState> {
  const { planned, saved } = options
  const { run, activations, members } = planned
  const hooks = [...new Set(members.flatMap(member => hooksOf(member.hooks)))]
  const buffer = await activations.open({
    hooks,
    contexts: run.windowContexts,
    seed: run.seed,
    storedDtype: run.storedDtype,
    outlierNormMultiple: run.outlierNormMultiple,
  })
  const { step, window: bufferIndex, batch } = saved?.state ?? { step: 0, window: 0, batch: 0 }
  const state: RunState = {
    options: options.options,
    planned,
    hooks,
    buffer,
    running: new Map(),
    ended: new Map(),
    lastReported: new Map(),
    step,
    bufferIndex,
    batch,
    batches: 0,
    outliers: { ...saved?.state.outliers },
    checkpointed: { step: saved?.state.step ?? null, at: performance.now() },
    pace: createPace({ step, totalSteps: run.totalSteps, batchSize: run.batchSize }),
  }
  try {
    for (const member of members) await openOne(state, member, saved)
  } catch (error) {
    await closeRun(state)
    throw error
  }
  return state
}

export async function closeRun({ running, buffer }: RunState): Promise<void> {
  for (const { learner } of running.values()) await learner.close()
  await buffer.close()
}

/** Opens an SAE where the checkpoint left it, or from the start; one that ended before is not opened. */
async function openOne(
  state: RunState,
  member: CompleteMember,
  saved: Checkpoint | undefined,
): Promise<void> {
  const { pool, initialWeights, createLearner: create = createLearner } = state.options
  const { name } = member
  const stored = saved?.state.members[name]
  if (stored !== undefined && stored.status !== 'training') {
    const sae = endedOf(stored, saved!.file, name)
    state.ended.set(name, sae)
    state.lastReported.set(name, endedReport(sae, member))
    return
  }
  const { run } = state.planned
  const weights = initialWeights?.get(name)
  const opened = await openMember({ pool, member, run, createLearner: create, weights })
  state.running.set(name, opened)
  if (saved !== undefined) restoreFrom(saved, opened)
}

/** Captures the next buffer, or this one again after a resume or a calibration. */
async function nextBuffer(state: RunState): Promise<void> {
  const { buffer, hooks, outliers, running } = state
  const { run } = state.planned
  const again = state.batches === 0 && state.step > 0
  if (state.batches > 0) {
    state.bufferIndex++
    state.batch = 0
  }
  const usable = await buffer.fill(state.bufferIndex)
  checkWindow({ run, usable, window: state.bufferIndex })
  state.batches = Math.floor(usable / run.batchSize)
  if (!again) for (const hook of hooks) outliers[hook] = (outliers[hook] ?? 0) + buffer.outliers(hook)
  if (state.step > 0) return
  const { pool } = state.options
  for (const member of running.values()) {
    await initialiseMember({ pool, running: member, buffer, count: usable, run })
  }
}

/** Whether there is another batch. Captures the next buffer if this one is used up. */
export async function hasBatch(state: RunState): Promise<boolean> {
  if (state.batch >= state.batches) await nextBuffer(state)
  return state.batch < state.batches
}

/** One step of every SAE on the same batch. @returns those that failed, with the reason */
export async function stepAll(state: RunState): Promise<Map<string, string>> {
  const { buffer, planned } = state
  const { run } = planned
  const failed = new Map<string, string>()
  for (const [name, member] of state.running) {
    const outcome = await stepMember({ running: member, buffer, first: state.batch * run.batchSize, run })
    if (outcome.kind === 'failed') failed.set(name, outcome.error)
  }
  state.step++
  state.batch++
  return failed
}

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

// Checkpoints of a run: when one is due, what goes into it, and which are kept when the run is complete.
import { InputError } from '@mistudio/files'
import type { TrainedSae } from '../finish/train_finish.ts'
import type { LearnerState } from '../learner.ts'
import type { Run } from '../run_settings.ts'
import { type StoredMember, writeCheckpoint } from './checkpoint.ts'
import { retain } from './retention.ts'
import type { TrainOptions } from './run_plan.ts'
import type { RunState } from './run_state.ts'
import { recentFigures } from './train_member.ts'
import { storeMember } from './train_member_state.ts'
import type { TrainResult } from './train_record.ts'

export function checkpointDue({ planned, step, checkpointed }: RunState): boolean {
  const { checkpointEverySteps: steps, checkpointEverySeconds: seconds } = planned.run
  return steps > 0 ? step % steps === 0 : performance.now() - checkpointed.at >= seconds * 1000
}

/** @throws InputError when it does not fit the disk budget */
export async function checkpointRun(state: RunState): Promise<void> {
  const { running, ended, outliers, step } = state
  const { run, described } = state.planned
  const { out, origin } = state.options
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
  const position = { step, window: state.bufferIndex, batch: state.batch }
  checkBudget(saes, run)
  await writeCheckpoint({
    out,
    saes,
    state: { settings: described, ...position, members: stored, fvu, outliers, origin },
  })
  retain({ out, retention: run, pinned: pinnedBy([...ended.values()]) })
  state.checkpointed = { step, at: performance.now() }
}

/** A complete run keeps what failed SAEs need, and the rest only if requested. */
export function dropCheckpoints({ saes }: TrainResult, { out, settings }: TrainOptions): void {
  if (settings.keepAtEnd === true) return
  retain({ out, retention: { keepLast: 0, keepBest: false, diskBudgetBytes: null }, pinned: pinnedBy(saes) })
}

/** Checkpoints that failed SAEs can be retried from. */
const pinnedBy = (saes: readonly TrainedSae[]): number[] =>
  saes.flatMap(sae => (sae.status === 'failed' ? (sae.checkpoint ?? []) : []))

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

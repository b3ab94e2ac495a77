// Which checkpoints of a run to keep: the newest few, the best, those a failed SAE can be retried from, within
// the disk budget. Others are removed once the newer checkpoint is complete on disk.
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkpointDir, checkpointsDir, dropCheckpoint, listCheckpoints, readState } from './checkpoint.ts'

export type Retention = { keepLast: number; keepBest: boolean; diskBudgetBytes: number | null }

export type KeptCheckpoint = { step: number; bytes: number; fvu: number | null }

/** The checkpoints of a run with their sizes and FVU, ascending. */
export function checkpointsOf(out: string): KeptCheckpoint[] {
  return listCheckpoints(out).map(step => ({
    step,
    bytes: bytesOf(checkpointDir(out, step)),
    fvu: fvuOf(out, step),
  }))
}

/** A damaged checkpoint is no reason to end a run that writes a whole one. */
function fvuOf(out: string, step: number): number | null {
  try {
    return readState(out, step).fvu
  } catch {
    return null
  }
}

/**
 * Which steps to keep. The budget drops the oldest first, the best last of all; the newest always stays.
 * @param options.pinned steps a failed SAE may be retried from: kept unless the budget is too small
 */
export function keptSteps(options: {
  checkpoints: readonly KeptCheckpoint[]
  retention: Retention
  pinned?: readonly number[]
}): number[] {
  const { checkpoints, retention, pinned = [] } = options
  const best = retention.keepBest ? bestOf(checkpoints) : undefined
  const first = Math.max(0, checkpoints.length - retention.keepLast)
  const newest = checkpoints.slice(first).map(({ step }) => step)
  let kept = checkpoints.filter(({ step }) => newest.includes(step) || step === best || pinned.includes(step))
  const { diskBudgetBytes: budget } = retention
  const total = () => kept.reduce((sum, { bytes }) => sum + bytes, 0)
  const last = checkpoints.at(-1)?.step
  while (budget !== null && kept.length > 1 && total() > budget) {
    const others = kept.filter(({ step }) => step !== last)
    const victim =
      others.find(({ step }) => step !== best && !pinned.includes(step)) ??
      others.find(({ step }) => step !== best) ??
      others[0]
    kept = kept.filter(({ step }) => step !== victim.step)
  }
  return kept.map(({ step }) => step)
}

/** The step of least FVU; the newer of equal ones. */
function bestOf(checkpoints: readonly KeptCheckpoint[]): number | undefined {
  let best: KeptCheckpoint | undefined
  for (const one of checkpoints) {
    if (one.fvu !== null && Number.isFinite(one.fvu) && one.fvu <= (best?.fvu ?? Number.POSITIVE_INFINITY)) {
      best = one
    }
  }
  return best?.step
}

/** Removes what is not kept. @returns the steps that remain */
export function retain(options: { out: string; retention: Retention; pinned?: readonly number[] }): number[] {
  const { out, retention, pinned } = options
  const checkpoints = checkpointsOf(out)
  const kept = keptSteps({ checkpoints, retention, pinned })
  for (const { step } of checkpoints) if (!kept.includes(step)) dropCheckpoint(out, step)
  if (kept.length === 0) rmSync(checkpointsDir(out), { recursive: true, force: true })
  return kept
}

function bytesOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(folder, entry.name)).size, 0)
}

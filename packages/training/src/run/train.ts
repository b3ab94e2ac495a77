// The training loop: every SAE of a run takes one step on the same tokens, captured once. An SAE may end, be stopped or
// fail by itself; the others continue.
// All randomness is a function of (seed, position), all sums have fixed blocks, so a run that was killed and
// resumed ends with the same bits as one that never stopped (same CPU type, versions and runtime).
import { checkSettings } from '@mistudio/files'
import { readCheckpoint } from './checkpoint.ts'
import { checkpointDue, checkpointRun, dropCheckpoints } from './run_checkpoint.ts'
import { endMembers, failMember } from './run_end.ts'
import { type Control, planTraining, type TrainOptions } from './run_plan.ts'
import { reportRun } from './run_report.ts'
import { closeRun, hasBatch, openRun, type RunState, stepAll } from './run_state.ts'
import { earlierTraining, type TrainResult, writeTraining } from './train_record.ts'

type Status = 'completed' | 'stopped' | 'paused'

/**
 * Trains all members and saves them.
 * @throws InputError for settings that cannot work; Error with every SAE's reason when all of them failed
 * @example
 * const { activations, modelName, datasets } = capture
 * const members = membersOf({ family: 'topk', inputs: ['blocks.4.hook_resid_post'], dSae: 4096, settings: { k: 32 } })
 * const settings = { trainTokens: 1_000_000 }
 * const { saes } = await trainSaes({ pool, activations, modelName, datasets, members, settings, out: 'data/sae' })
 */
export async function trainSaes(options: TrainOptions): Promise<TrainResult> {
  const planned = planTraining(options)
  const { out } = options
  const { described: settings } = planned
  const earlier = earlierTraining({ out, settings, resume: options.resume === true })
  if (earlier !== undefined) {
    // A crash may have come between the record and this.
    dropCheckpoints(earlier, options)
    return earlier
  }
  const saved = options.resume ? readCheckpoint({ out }) : undefined
  if (saved !== undefined) checkSettings({ file: saved.file, saved: saved.state.settings, asked: settings })

  const state = await openRun({ options, planned, saved })
  try {
    const status = await takeSteps(state)
    // Before the first step there is nothing to keep: no SAE has been fitted yet.
    if (status !== 'completed' && state.step > 0) await checkpointRun(state)
    if (status !== 'paused' && state.step > 0) await endMembers(state, [...state.running.keys()], status)
    const result = resultOf(state, status)
    const failed = result.saes.length > 0 && result.saes.every(sae => sae.status === 'failed')
    writeTraining({ out, settings, result: failed ? { ...result, status: 'failed' } : result })
    reportRun(state, status === 'completed' ? 'training:completed' : 'training:stopped', status)
    // The last checkpoint holds their state: --resume retries from there.
    if (failed) throw allFailed(result)
    if (status === 'completed') dropCheckpoints(result, options)
    return result
  } finally {
    await closeRun(state)
  }
}

/** The loop. @returns why it ended */
async function takeSteps(state: RunState): Promise<Status> {
  const { totalSteps } = state.planned.run
  while (state.step < totalSteps && state.running.size > 0) {
    const asked = askedOf(state)
    if (asked.kind === 'pause') return 'paused'
    if (asked.kind === 'stop') return 'stopped'
    if (asked.kind === 'stop_sae' && state.step > 0) {
      await endMembers(state, [asked.name], 'stopped')
      continue
    }
    if (!(await hasBatch(state))) continue
    for (const [name, error] of await stepAll(state)) await failMember(state, name, error)
    const early = [...state.running].flatMap(([name, { early }]) => (early === null ? [] : [name]))
    if (early.length > 0) await endMembers(state, early, 'completed')
    if (state.step < totalSteps && state.running.size > 0 && checkpointDue(state)) {
      await checkpointRun(state)
      reportRun(state, 'training:checkpoint', 'training')
    } else if (state.pace.secondsSinceLap() >= 1) reportRun(state, 'training:progress', 'training')
  }
  return 'completed'
}

function askedOf({ options, running }: RunState): Control {
  if (options.stopped?.() === true) return { kind: 'stop' }
  const asked = options.control?.() ?? { kind: 'run' }
  return asked.kind === 'stop_sae' && !running.has(asked.name) ? { kind: 'run' } : asked
}

function resultOf({ planned, ended, step }: RunState, status: Status): TrainResult {
  return {
    status,
    step,
    tokens: step * planned.run.batchSize,
    saes: planned.members.flatMap(({ name }) => ended.get(name) ?? []),
  }
}

/** Every SAE's reason, when all failed. */
function allFailed({ saes }: TrainResult): Error {
  const reasons = saes.map(({ name, error, checkpoint }) => {
    const kept =
      checkpoint === null ? 'there is no checkpoint yet' : `the last good checkpoint is at step ${checkpoint}`
    return `${name}: ${error}; ${kept}`
  })
  return new Error(reasons.join('\n'))
}

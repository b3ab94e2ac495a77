// How an SAE leaves a run: finished, stopped by the user, or failed by itself. The others continue.
import { finishMembers } from '../finish/train_finish.ts'
import type { RunState } from './run_state.ts'
import { failedSae, finishingOf, memberReport } from './train_report.ts'

/** Finishes SAEs that end at this step. */
export async function endMembers(
  state: RunState,
  names: readonly string[],
  status: 'completed' | 'stopped',
): Promise<void> {
  const { run, activations } = state.planned
  const ending = names.map(name => state.running.get(name)!)
  for (const running of ending) {
    state.lastReported.set(running.member.name, memberReport({ running, run, status }))
  }
  const { pool, out, modelName, datasets } = state.options
  const calibration = {
    buffer: state.buffer,
    first: state.bufferIndex + 1,
    buffers: Math.ceil(activations.contexts / run.windowContexts),
  }
  const { contextSize } = activations
  const finished = await finishMembers(
    ending.map(running => finishingOf(running, status)),
    { pool, run, out, modelName, datasets, contextSize, calibration },
  )
  for (const sae of finished) state.ended.set(sae.name, sae)
  for (const { member, learner } of ending) {
    state.running.delete(member.name)
    await learner.close()
  }
  // Calibration has replaced the buffer's tokens.
  if (ending.some(({ member }) => member.plan.selection.kind === 'batchtopk')) state.batches = 0
}

/** Takes an SAE out of the run; its state at the last checkpoint is kept, for a retry. */
export async function failMember(state: RunState, name: string, error: string): Promise<void> {
  const running = state.running.get(name)!
  const { run } = state.planned
  state.ended.set(name, failedSae({ running, error, checkpoint: state.checkpointed.step }))
  state.lastReported.set(name, { ...memberReport({ running, run, status: 'failed' }), error })
  state.running.delete(name)
  await running.learner.close()
}

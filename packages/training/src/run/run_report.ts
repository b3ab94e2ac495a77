// A run's report: all its SAEs, including those that ended, in one event.
import type { RunState } from './run_state.ts'
import type { TrainProgress } from './train_progress.ts'
import { memberReport } from './train_report.ts'

export function reportRun(
  state: RunState,
  event: TrainProgress['event'],
  status: TrainProgress['status'],
): void {
  const { running, lastReported, outliers, pace, step } = state
  const { run, members } = state.planned
  const { totalSteps, batchSize } = run
  const saes = members.map(({ name }) => {
    const member = running.get(name)
    return member === undefined
      ? lastReported.get(name)!
      : memberReport({ running: member, run, status: 'training' })
  })
  state.options.onEvent?.({
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
  // SAEs that ended repeat their last report, without its warnings.
  for (const [name, last] of lastReported) lastReported.set(name, { ...last, warnings: [] })
}

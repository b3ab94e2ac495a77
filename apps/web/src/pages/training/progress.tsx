// How far a training has got, and how fast it runs.
import type { Training } from '@mistudio/contract'
import { isEnded } from '../../live/active.ts'
import { formatBytes, formatCount, formatDuration, formatTime } from '../../parts/format.ts'
import { Figure } from '../../parts/hint.tsx'
import { Metric, Metrics } from '../../parts/page.tsx'
import { ProgressBar } from '../../parts/progress.tsx'

export function Progress({ training }: { training: Training }) {
  const { status, step, total_steps, tokens, total_tokens, tokens_per_second, eta_seconds } = training
  // Speed, ETA and memory of the last report mean nothing once the training is not running.
  const running = status === 'running'
  const notRunning = isEnded(training) ? 'the training has ended' : `the training is ${status}`
  return (
    <div className="mb-6 space-y-3">
      <ProgressBar share={training.progress} label="Progress of the training" />
      <Metrics>
        <Metric name="Step" note={total_steps === null ? undefined : `of ${formatCount(total_steps)}`}>
          {formatCount(step)}
        </Metric>
        <Metric name="Tokens" note={`of ${formatCount(total_tokens)}`}>
          {formatCount(tokens)}
        </Metric>
        <Metric name="Speed" note="tokens/s">
          <Figure value={running ? tokens_per_second : null} format={formatCount} why={notRunning} />
        </Metric>
        <Metric name="ETA">
          <Figure
            value={running ? eta_seconds : null}
            format={formatDuration}
            why={running ? 'known after the first steps' : notRunning}
          />
        </Metric>
        <Metric name="Memory" note={outliersOf(training)}>
          <Figure value={running ? training.memory_bytes : null} format={formatBytes} why={notRunning} />
        </Metric>
        <Metric name="Started" words>
          <Figure value={training.started_at} format={formatTime} why="waiting for its turn" />
        </Metric>
        <Metric name="Ended" words>
          <Figure value={training.completed_at} format={formatTime} why="not ended yet" />
        </Metric>
      </Metrics>
    </div>
  )
}

function outliersOf({ outlier_tokens }: Training): string | undefined {
  const tokens = Object.values(outlier_tokens).reduce((sum, count) => sum + count, 0)
  return tokens === 0 ? undefined : `${formatCount(tokens)} outliers dropped`
}

// What a training would take on the studio's machine: memory, disk, time, and what looks wrong, with buttons that apply
// the suggested values.
import type { Advice, Suggestion } from '@mistudio/contract'
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from '../../parts/button.tsx'
import { formatBytes, formatCount, formatDuration, formatFigure, formatTick } from '../../parts/format.ts'
import { Definition } from '../../parts/hint.tsx'

/** @param props.onTake applies a suggested value */
export function AdvicePanel(props: {
  advice: Advice | undefined
  measuring: boolean
  onTake: (suggestion: Suggestion) => void
}) {
  const { advice, measuring, onTake } = props
  if (advice === undefined) {
    return <p className="text-xs text-mute">Memory, disk and time are estimated once enough is chosen.</p>
  }
  const { fits, refusal, suggestions, warnings, reasons, busy } = advice
  return (
    <div className="space-y-3" data-testid="advice">
      <Costs advice={advice} measuring={measuring} />
      {busy && (
        <p className="text-xs text-mute">Another job is running, so anything measured now is too slow.</p>
      )}
      {!fits && (
        <div role="alert" className="space-y-2 rounded-md border border-bad/40 bg-bad-soft p-2.5">
          <p className="font-medium first-letter:uppercase">{refusal}</p>
          <Suggestions suggestions={suggestions} onTake={onTake} />
        </div>
      )}
      {warnings.map(({ message, suggestion }) => (
        <div key={message} role="status" className="space-y-2 rounded-md bg-warn-soft p-2.5 text-xs">
          <p className="flex gap-1.5 break-words">
            <TriangleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0 text-warn" />
            <span className="min-w-0">{message}</span>
          </p>
          {suggestion !== null && <Suggestions suggestions={[suggestion]} onTake={onTake} />}
        </div>
      ))}
      {reasons.map(reason => (
        <p key={reason} className="text-xs break-words text-mute">
          {reason}
        </p>
      ))}
    </div>
  )
}

function Costs({ advice, measuring }: { advice: Advice; measuring: boolean }) {
  const { steps, parameters, memory, disk } = advice
  return (
    <dl className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-1">
      <Row name="Steps">{formatCount(steps)}</Row>
      <Row name="Parameters">{formatCount(parameters)}</Row>
      <Row
        name="Memory"
        about={`Model ${formatBytes(memory.model)}, activation buffer ${formatBytes(memory.window)}, SAEs with gradients and moments ${formatBytes(memory.learners)}.`}
        bad={memory.total > memory.available}
      >
        {formatBytes(memory.total)} of {formatBytes(memory.available)}
      </Row>
      <Row
        name="Disk"
        about={`Checkpoints ${formatBytes(disk.checkpoints)}, finished SAEs ${formatBytes(disk.saes)}.`}
        bad={disk.total > disk.available}
      >
        {formatBytes(disk.total)} of {formatBytes(disk.available)}
      </Row>
      <Row name="Time" about={measurementOf(advice)}>
        {advice.time !== null ? (
          <span data-testid="advice-time">about {formatDuration(advice.time.total_seconds)}</span>
        ) : measuring ? (
          'measuring…'
        ) : (
          '–'
        )}
      </Row>
    </dl>
  )
}

/** What the time is based on. */
function measurementOf({ measured }: Advice): string {
  if (measured === null) return 'Not measured yet.'
  const { seconds, gflops, capture_tokens_per_second: capture } = measured
  const speeds = [`${formatCount(gflops)} GFLOP/s`]
  if (capture !== null) speeds.push(`capture ${formatCount(capture)} tokens/s`)
  return `Measured in ${formatFigure(seconds, 2)} s: ${speeds.join(', ')}. Assumes that every step takes as long as the first ones; sparse families speed up.`
}

function Row(props: { name: string; about?: string; bad?: boolean; children: ReactNode }) {
  const { name, about, bad = false, children } = props
  return (
    <>
      <dt className="flex items-center gap-1 text-soft">
        {name}
        {about !== undefined && <Definition of={name} text={about} />}
      </dt>
      <dd className={`text-right ${bad ? 'font-medium text-bad' : ''}`}>{children}</dd>
    </>
  )
}

function Suggestions(props: { suggestions: Suggestion[]; onTake: (suggestion: Suggestion) => void }) {
  return (
    <ul className="flex flex-wrap gap-1.5">
      {props.suggestions.map(suggestion => {
        const { field, value, reason } = suggestion
        return (
          <li key={field}>
            {field === 'members' ? (
              <span className="text-xs">at most {String(value)} SAEs at once</span>
            ) : (
              <Button small title={reason} onClick={() => props.onTake(suggestion)}>
                Use {field} {typeof value === 'number' ? formatTick(value) : String(value)}
              </Button>
            )}
          </li>
        )
      })}
    </ul>
  )
}

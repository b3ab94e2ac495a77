// What the training would take on the studio's machine, asked while a person fills in the form: how many SAEs, memory,
// disk, time, and what looks wrong, with a button for what would do.
import type { Advice, Suggestion } from '@mistudio/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { TriangleAlert } from 'lucide-react'
import { useEffect, useState } from 'react'
import { client } from '../../api.ts'
import { Button } from '../../parts/button.tsx'
import { formatBytes, formatCount, formatDuration, formatFigure } from '../../parts/format.ts'
import { Definition } from '../../parts/hint.tsx'

type Body = Parameters<typeof client.adviseTraining>[0]['body']

const pauseMs = 400

function useDebounced<T>(value: T): T {
  const text = JSON.stringify(value)
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), pauseMs)
    return () => clearTimeout(timer)
  }, [text])
  return JSON.parse(settled) as T
}

/** @param body null while too little is chosen. @returns the newest advice and what the studio would refuse */
export function useAdvice(body: Body | null) {
  const asked = useDebounced(body)
  const key = JSON.stringify(asked)
  const shapes = useQuery({
    queryKey: ['advice', key],
    queryFn: ({ signal }) => client.adviseTraining({ body: { ...asked!, probe: false }, signal }),
    enabled: asked !== null,
    placeholderData: keepPreviousData,
    retry: false,
  })
  const unmeasured = shapes.data !== undefined && shapes.data.measured === null && !shapes.isPlaceholderData
  // Measured once for a model and kind; later questions are answered from that.
  const probe = useQuery({
    queryKey: ['advice', 'probe', key],
    queryFn: ({ signal }) => client.adviseTraining({ body: { ...asked!, probe: true }, signal }),
    enabled: asked !== null && unmeasured && shapes.error === null,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
  const advice = shapes.data?.measured === null ? (probe.data ?? shapes.data) : shapes.data
  return { advice: asked === null ? undefined : advice, measuring: probe.isFetching, error: shapes.error }
}

export function AdvicePanel(props: {
  advice: Advice | undefined
  measuring: boolean
  onTake: (suggestion: Suggestion) => void
}) {
  const { advice, measuring, onTake } = props
  if (advice === undefined) {
    return <p className="text-xs text-mute">Memory, disk and time are reckoned once layers are chosen.</p>
  }
  const { memory, disk, time, measured, fits, refusal, suggestions, warnings, reasons, busy } = advice
  return (
    <div className="space-y-3" data-testid="advice">
      <dl className="grid grid-cols-[1fr_auto] gap-x-3 gap-y-1">
        <Row name="Steps" value={formatCount(advice.steps)} />
        <Row name="Parameters" value={formatCount(advice.parameters)} />
        <Row
          name="Memory"
          about={`Model ${formatBytes(memory.model)}, window of activations ${formatBytes(memory.window)}, SAEs with gradients and moments ${formatBytes(memory.learners)}.`}
          value={`${formatBytes(memory.total)} of ${formatBytes(memory.available)}`}
          bad={memory.total > memory.available}
        />
        <Row
          name="Disk"
          about={`Checkpoints ${formatBytes(disk.checkpoints)}, finished SAEs ${formatBytes(disk.saes)}.`}
          value={`${formatBytes(disk.total)} of ${formatBytes(disk.available)}`}
          bad={disk.total > disk.available}
        />
        <Row
          name="Time"
          about={
            measured === null
              ? 'Not measured yet.'
              : `Measured in ${formatFigure(measured.seconds, 2)} s: ${formatCount(measured.gflops)} GFLOP/s` +
                (measured.capture_tokens_per_second === null
                  ? '.'
                  : `, capture ${formatCount(measured.capture_tokens_per_second)} tokens/s. A step as at the start; sparse families get faster.`)
          }
          value={
            time !== null ? (
              <span data-testid="advice-time">about {formatDuration(time.total_seconds)}</span>
            ) : measuring ? (
              'measuring …'
            ) : (
              '–'
            )
          }
        />
      </dl>
      {busy && <p className="text-xs text-mute">A job runs here: what is measured meanwhile is too slow.</p>}
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

function Row(props: { name: string; about?: string; value: React.ReactNode; bad?: boolean }) {
  const { name, about, value, bad = false } = props
  return (
    <>
      <dt className="flex items-center gap-1 text-soft">
        {name}
        {about !== undefined && <Definition of={name} text={about} />}
      </dt>
      <dd className={`text-right ${bad ? 'font-medium text-bad' : ''}`}>{value}</dd>
    </>
  )
}

function Suggestions(props: { suggestions: Suggestion[]; onTake: (suggestion: Suggestion) => void }) {
  return (
    <ul className="flex flex-wrap gap-1.5">
      {props.suggestions.map(suggestion => {
        const { field, value, reason } = suggestion
        const text = `${field} ${typeof value === 'number' ? formatFigure(value, 3).replace(/\.?0+$/, '') : String(value)}`
        return (
          <li key={field}>
            {field === 'members' ? (
              <span className="text-xs">at most {String(value)} SAEs at once</span>
            ) : (
              <Button small title={reason} onClick={() => props.onTake(suggestion)}>
                Take {text}
              </Button>
            )}
          </li>
        )
      })}
    </ul>
  )
}

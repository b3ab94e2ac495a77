// The figures behind a chart as a table, rendered only when somebody opens it.
import { type ReactNode, useState } from 'react'

/** @param props.of the chart, for screen readers */
export function Values({ of, children }: { of: string; children: () => ReactNode }) {
  const [open, setOpen] = useState(false)
  return (
    <details className="mt-1 text-xs" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary className="w-fit rounded-sm text-mute hover:text-ink">
        Values<span className="sr-only"> of {of}</span>
      </summary>
      {open && children()}
    </details>
  )
}

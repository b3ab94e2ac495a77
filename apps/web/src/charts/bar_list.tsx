// A ranked list with a bar behind each row.
import type { ReactNode } from 'react'

export type BarRow = {
  key: string | number
  text: string
  note: ReactNode
  /** Length of the bar, 0 to 1. */
  share: number
  title?: string
}

/** @param props.about a tooltip on the title @param props.look colour of the bars, as a class */
export function BarList(props: { title: string; about?: string; rows: readonly BarRow[]; look?: string }) {
  const { title, about, rows, look = 'bg-accent-soft' } = props
  return (
    <div className="min-w-0">
      <h3 className="mb-1 text-xs font-medium text-mute" title={about}>
        {title}
      </h3>
      {rows.length === 0 ? (
        <p className="text-xs text-mute">none</p>
      ) : (
        <ol className="space-y-0.5 text-xs" aria-label={title}>
          {rows.map(row => (
            <li
              key={row.key}
              title={row.title}
              className="relative flex justify-between gap-2 overflow-hidden rounded-sm px-1.5 py-0.5"
            >
              <span
                aria-hidden
                className={`absolute inset-y-0 left-0 ${look}`}
                style={{ width: `${row.share * 100}%` }}
              />
              <span className="relative min-w-0 truncate font-mono whitespace-pre">{row.text}</span>
              <span className="relative shrink-0 text-soft">{row.note}</span>
            </li>
          ))}
        </ol>
      )}
    </div>
  )
}

// The frame of every page: its title (which is the tab's too), breadcrumbs, buttons and what went wrong; and the blocks
// that pages are built of.
import { ChevronRight } from 'lucide-react'
import { type ReactNode, useEffect } from 'react'
import { ProblemBox } from './problem.tsx'

export type PageProps = {
  title: string
  /** Badges beside the title. */
  aside?: ReactNode
  /** Links to the pages above. */
  above?: ReactNode[]
  lead?: ReactNode
  actions?: ReactNode
  /** Shown above the content; null: nothing is wrong. */
  problem?: unknown
  onRetry?: () => void
  children: ReactNode
}

export function Page(props: PageProps) {
  const { title, aside, above = [], lead, actions, problem = null, onRetry, children } = props
  useEffect(() => {
    document.title = `${title} · miStudio`
  }, [title])
  return (
    <div className="mx-auto w-full max-w-7xl px-4 py-4 sm:px-6 sm:py-6">
      {above.length > 0 && <Breadcrumb above={above} />}
      <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-80">
          <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
            <h1 className="min-w-0 text-xl font-semibold break-words">{title}</h1>
            {aside !== undefined && (
              <span className="flex flex-wrap gap-1.5" data-testid="page-state">
                {aside}
              </span>
            )}
          </div>
          {lead !== undefined && <div className="mt-1 max-w-3xl text-soft">{lead}</div>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {problem !== null && (
        <div className="mb-4">
          <ProblemBox error={problem} onRetry={onRetry} />
        </div>
      )}
      {children}
    </div>
  )
}

function Breadcrumb({ above }: { above: ReactNode[] }) {
  return (
    <nav aria-label="Breadcrumb" className="mb-1 flex flex-wrap items-center gap-1 text-xs text-mute">
      {above.map((link, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the path upwards does not change
        <span key={i} className="flex min-w-0 items-center gap-1">
          {link}
          <ChevronRight aria-hidden className="size-3" />
        </span>
      ))}
    </nav>
  )
}

export function Section(props: { title: string; aside?: ReactNode; children: ReactNode; id?: string }) {
  const { title, aside, children, id } = props
  return (
    <section className="mb-6 min-w-0" aria-label={title} id={id}>
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-2">
        <h2 className="text-sm font-semibold">{title}</h2>
        {aside !== undefined && <div className="text-xs text-mute">{aside}</div>}
      </div>
      {children}
    </section>
  )
}

/** Says that there is nothing here, and what to do about it. */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="panel flex flex-col items-center gap-3 px-4 py-8 text-center text-soft">
      <p className="max-w-md">{children}</p>
      {action}
    </div>
  )
}

/** A row of live figures in fixed places, so that nothing moves as they change. */
export function Metrics({ children }: { children: ReactNode }) {
  return (
    <dl className="flex flex-wrap gap-px overflow-hidden rounded-lg border border-line bg-line">
      {children}
    </dl>
  )
}

export function Metric(props: {
  name: string
  about?: ReactNode
  children: ReactNode
  note?: ReactNode
  /** Words rather than a figure: smaller. */
  words?: boolean
}) {
  const { name, about, children, note, words = false } = props
  return (
    <div
      className="min-w-0 flex-[1_1_8.5rem] bg-surface px-3 py-2"
      data-testid={`metric-${name.toLowerCase().replace(/\W+/g, '-')}`}
    >
      <dt className="flex items-center gap-1 text-xs text-mute">
        {name}
        {about}
      </dt>
      <dd className={`truncate font-semibold ${words ? 'leading-6' : 'text-base'}`}>{children}</dd>
      {note !== undefined && <dd className="truncate text-xs text-mute">{note}</dd>}
    </div>
  )
}

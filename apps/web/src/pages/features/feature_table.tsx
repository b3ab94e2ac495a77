// The table of features: only the rows in sight are in the page, so that a hundred thousand scroll as ten do. Arrow keys
// walk, Enter opens.
import type { FeatureItem, FeatureQuery } from '@mistudio/contract'
import { useNavigate } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { definitions } from '../../parts/definitions.tsx'
import { Definition } from '../../parts/hint.tsx'
import { FeatureRow, rowGrid } from './feature_row.tsx'
import { useWide } from './use_wide.ts'

const rowHeights = { wide: 44, narrow: 92 }

type Sort = FeatureQuery['sort_by']

const heads: { name: string; sort?: Sort; about?: string; right?: boolean }[] = [
  { name: 'Number', sort: 'feature', right: true },
  { name: 'Peak tokens' },
  { name: 'Strongest example' },
  { name: 'Density', sort: 'density', about: definitions.density, right: true },
  { name: 'Max', sort: 'max', about: definitions.max, right: true },
  { name: 'Readability', sort: 'readability', about: definitions.readability, right: true },
  { name: 'NLP summary', about: definitions.nlp },
]

export function FeatureTable(props: {
  rows: FeatureItem[]
  total: number
  sortBy: Sort
  sortOrder: 'asc' | 'desc'
  stale: boolean
  onSort: (by: Sort, order: 'asc' | 'desc') => void
  onEnd: () => void
}) {
  const { rows, total, sortBy, sortOrder, stale, onSort, onEnd } = props
  const navigate = useNavigate()
  const wide = useWide()
  const body = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  const [current, setCurrent] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is above the table is laid out otherwise
  useLayoutEffect(() => {
    setMargin((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY)
  }, [wide])
  const height = wide ? rowHeights.wide : rowHeights.narrow
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => height,
    overscan: 10,
    scrollMargin: margin,
    // Under the head of the table, and the bar of a narrow screen.
    scrollPaddingStart: wide ? 40 : 60,
    scrollPaddingEnd: 16,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height have other places
  useEffect(() => virtual.measure(), [height])
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked once for each end
  useEffect(() => {
    if (last >= rows.length - 20) onEnd()
  }, [last, rows.length])
  const at = Math.min(current, rows.length - 1)

  function walk(event: KeyboardEvent): void {
    if (event.target !== event.currentTarget) return
    const page = Math.max(1, Math.floor(window.innerHeight / height) - 3)
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    }
    if (event.key === 'Enter') {
      navigate({ to: '/features/$id', params: { id: rows[at].id } })
      return
    }
    const to = moves[event.key]
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const next = Math.min(Math.max(to, 0), rows.length - 1)
    setCurrent(next)
    virtual.scrollToIndex(next)
  }

  return (
    // biome-ignore-start lint/a11y/useSemanticElements: rows lie where the scroll says, which a table cannot
    // biome-ignore-start lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    <div
      role="grid"
      aria-label="Features"
      aria-rowcount={total + 1}
      aria-colcount={heads.length}
      aria-activedescendant={`row-${rows[at]?.id}`}
      aria-busy={stale}
      // One stop for the keyboard; the rows are walked with the arrow keys.
      tabIndex={0}
      onKeyDown={walk}
      className="panel group focus-visible:outline-none"
    >
      <div
        role="row"
        aria-rowindex={1}
        className={`${rowGrid} z-20 rounded-t-lg border-b border-line bg-surface py-2 text-xs font-medium text-mute max-lg:sr-only lg:sticky lg:top-0`}
      >
        {heads.map(({ name, sort, about, right }) => (
          <div
            key={name}
            role="columnheader"
            aria-sort={
              sort === undefined
                ? undefined
                : sort !== sortBy
                  ? 'none'
                  : sortOrder === 'asc'
                    ? 'ascending'
                    : 'descending'
            }
            className={`flex min-w-0 items-center gap-1 ${right ? 'justify-end' : ''}`}
          >
            {sort === undefined ? (
              name
            ) : (
              <button
                type="button"
                tabIndex={-1}
                className="flex items-center gap-1 rounded-sm hover:text-ink"
                onClick={() => onSort(sort, sort === sortBy && sortOrder === 'desc' ? 'asc' : 'desc')}
              >
                {name}
                {sort === sortBy &&
                  (sortOrder === 'asc' ? (
                    <ArrowUp aria-hidden className="size-3" />
                  ) : (
                    <ArrowDown aria-hidden className="size-3" />
                  ))}
              </button>
            )}
            {about !== undefined && <Definition of={name} text={about} />}
          </div>
        ))}
      </div>
      <div
        ref={body}
        role="rowgroup"
        className={`relative ${stale ? 'opacity-60' : ''}`}
        style={{ height: virtual.getTotalSize() }}
      >
        {items.map(({ index, start }) => (
          <FeatureRow
            key={rows[index].id}
            feature={rows[index]}
            index={index}
            current={index === at}
            top={start - margin}
            height={height}
          />
        ))}
      </div>
      <p className="border-t border-line px-3 py-2 text-xs text-mute">
        {rows.length < total ? 'More come as you scroll.' : 'These are all.'}
      </p>
    </div>
    // biome-ignore-end lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    // biome-ignore-end lint/a11y/useSemanticElements: rows lie where the scroll says, which a table cannot
  )
}

// The table of features. Only the rows in view are in the page, so that a hundred thousand scroll as easily as ten. Arrow
// keys move, Enter opens.
import type { FeatureItem } from '@mistudio/contract'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { FeatureHead, heads, type Order } from './feature_head.tsx'
import { FeatureRow } from './feature_row.tsx'
import { useRowKeys } from './use_row_keys.ts'
import { useWide } from './use_wide.ts'

/** In pixels. */
const rowHeights = { wide: 44, narrow: 92 }
/** The next page is fetched when so many rows are left below. */
const rowsAhead = 20

/** @param props.rows one or more @param props.onEnd called when the last rows come near */
export function FeatureTable(props: {
  rows: FeatureItem[]
  total: number
  order: Order
  /** The rows are of the previous query. */
  stale: boolean
  onSort: (order: Order) => void
  onEnd: () => void
}) {
  const { rows, total, order, stale, onSort, onEnd } = props
  const wide = useWide()
  const height = wide ? rowHeights.wide : rowHeights.narrow
  const { body, virtual, top } = useVisibleRows({ count: rows.length, height, wide })
  const { at, onKeyDown } = useRowKeys({ rows, height, onMove: virtual.scrollToIndex })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each end
  useEffect(() => {
    if (last >= rows.length - rowsAhead) onEnd()
  }, [last, rows.length])
  return (
    // biome-ignore-start lint/a11y/useSemanticElements: rows are placed by the scroll position, which a table cannot do
    // biome-ignore-start lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    <div
      role="grid"
      aria-label="Features"
      aria-rowcount={total + 1}
      aria-colcount={heads.length}
      aria-activedescendant={`row-${rows[at]?.id}`}
      aria-busy={stale}
      // A single tab stop: the arrow keys move between rows.
      tabIndex={0}
      onKeyDown={onKeyDown}
      className="panel group focus-visible:outline-none"
    >
      <FeatureHead order={order} onSort={onSort} />
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
            top={start - top}
            height={height}
          />
        ))}
      </div>
      <p className="border-t border-line px-3 py-2 text-xs text-mute">
        {rows.length < total ? 'Scroll for more.' : 'End of the list.'}
      </p>
    </div>
    // biome-ignore-end lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    // biome-ignore-end lint/a11y/useSemanticElements: rows are placed by the scroll position, which a table cannot do
  )
}

/** @returns the rows in view, and the top of the table's body in the page, in pixels */
function useVisibleRows({ count, height, wide }: { count: number; height: number; wide: boolean }) {
  const body = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is above the table has another height
  useLayoutEffect(() => {
    setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY)
  }, [wide])
  const virtual = useWindowVirtualizer({
    count,
    estimateSize: () => height,
    overscan: 10,
    scrollMargin: top,
    // Room for the head of the table, or the bar at the top of a narrow screen.
    scrollPaddingStart: wide ? 40 : 60,
    scrollPaddingEnd: 16,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height move
  useEffect(() => virtual.measure(), [height])
  return { body, virtual, top }
}

// One feature in the table; a card of three lines on a narrow screen.
import type { FeatureItem } from '@mistudio/contract'
import { Link } from '@tanstack/react-router'
import { formatFigure, formatPercent } from '../../parts/format.ts'
import { Figure, Missing } from '../../parts/hint.tsx'
import { oneLine, shownToken, trimmed } from '../../tokens/heat.ts'

/** The columns; the head of the table shares them. */
export const rowGrid =
  'grid items-center gap-x-3 px-3 lg:grid-cols-[4.5rem_minmax(6rem,1fr)_minmax(12rem,2.4fr)_5.5rem_4.5rem_6.5rem_minmax(8rem,1.8fr)]'

export function FeatureRow(props: {
  feature: FeatureItem
  index: number
  current: boolean
  top: number
  height: number
}) {
  const { feature, index, current, top, height } = props
  const { id, density, max, readability, peak_tokens, snippet, nlp_summary } = feature
  return (
    // biome-ignore-start lint/a11y/useSemanticElements: part of a grid, see feature_table.tsx
    // biome-ignore-start lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    <div
      role="row"
      id={`row-${id}`}
      aria-rowindex={index + 2}
      aria-selected={current}
      data-testid="feature-row"
      data-feature={feature.feature}
      style={{ transform: `translateY(${top}px)`, height }}
      className={`${rowGrid} absolute inset-x-0 top-0 border-b border-line hover:bg-hover/60 max-lg:grid-cols-[auto_1fr_auto] max-lg:content-center max-lg:gap-y-0.5 ${current ? 'group-focus-visible:bg-hover group-focus-visible:shadow-[inset_3px_0_var(--color-accent)]' : ''}`}
    >
      <div role="gridcell" className="lg:text-right max-lg:col-start-1 max-lg:row-start-1">
        <Link
          to="/features/$id"
          params={{ id }}
          tabIndex={-1}
          aria-label={`Feature ${feature.feature}`}
          className="font-medium text-accent before:absolute before:inset-0 hover:underline"
        >
          {feature.feature}
        </Link>
      </div>
      <PeakTokens tokens={peak_tokens} />
      <div role="gridcell" className="truncate max-lg:col-span-3 max-lg:col-start-1 max-lg:row-start-2">
        {snippet === null ? <Missing why="no examples" /> : <Snippet {...snippet} />}
      </div>
      <div role="gridcell" className="text-right max-lg:col-start-3 max-lg:row-start-1 max-lg:text-xs">
        <Figure value={density} format={formatPercent} why="no tokens were read" />
      </div>
      <div
        role="gridcell"
        className="text-right max-lg:col-start-1 max-lg:row-start-3 max-lg:text-left max-lg:text-xs"
      >
        <span className="text-mute lg:hidden">max </span>
        <Figure value={max} format={value => formatFigure(value, 3)} why="it never fired" />
      </div>
      <div role="gridcell" className="text-right max-lg:sr-only">
        {readability.toFixed(2)}
      </div>
      <div
        role="gridcell"
        className="truncate text-xs text-soft max-lg:col-span-2 max-lg:col-start-2 max-lg:row-start-3"
        title={nlp_summary ?? undefined}
      >
        {nlp_summary ?? <Missing why="not analysed" />}
      </div>
    </div>
    // biome-ignore-end lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    // biome-ignore-end lint/a11y/useSemanticElements: part of a grid, see feature_table.tsx
  )
}

function PeakTokens({ tokens }: { tokens: string[] }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: part of a grid, see feature_table.tsx
    // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus and names the current row
    <div
      role="gridcell"
      className="truncate font-mono text-xs max-lg:col-start-2 max-lg:row-start-1"
      title={tokens.join(' ')}
    >
      {tokens.length === 0 ? (
        <Missing why="no examples" />
      ) : (
        tokens.map((token, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: tokens may repeat
          <span key={i} className="mr-1 rounded-xs bg-hover px-1">
            {shownToken(token).trim() || '␣'}
          </span>
        ))
      )}
    </div>
  )
}

/** The peak is kept in the middle: the text before it is cut first. */
function Snippet(snippet: { before: string; peak: string; after: string }) {
  const { before, core, after } = trimmed(oneLine(snippet.peak))
  // The token's own spaces stay outside its mark; the left-to-right mark keeps the space at the right end of its line.
  return (
    <span className="flex min-w-0 whitespace-pre">
      <span className="max-w-[45%] min-w-0 shrink-0 overflow-hidden text-ellipsis text-soft [direction:rtl]">
        <bdi>{`${oneLine(snippet.before)}${before}\u200e`}</bdi>
      </span>
      <mark className="shrink-0 rounded-xs bg-accent-soft px-0.5 font-medium text-ink">{core || '␣'}</mark>
      <span className="min-w-0 overflow-hidden text-ellipsis text-soft">
        {after + oneLine(snippet.after)}
      </span>
    </span>
  )
}

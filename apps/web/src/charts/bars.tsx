// Still bars: a histogram, and counted words.
import type { FeatureDetail } from '@mistudio/contract'
import { formatCount, formatTick } from '../parts/format.ts'

/** Firing tokens by activation; bins are powers of two, so equal widths are equal ratios. */
export function Histogram({ bins }: { bins: FeatureDetail['histogram'] }) {
  const first = bins.findIndex(({ tokens }) => tokens > 0)
  if (first < 0) return <p className="text-mute">It fired at no token.</p>
  const last = bins.findLastIndex(({ tokens }) => tokens > 0)
  const shown = bins.slice(first, last + 1)
  const most = Math.max(...shown.map(({ tokens }) => tokens))
  const name = ({ low, high }: (typeof bins)[number]) =>
    high === null ? `${formatTick(low)} and more` : `${formatTick(low)} to ${formatTick(high)}`
  return (
    <ol aria-label="Histogram of activations" className="flex h-44 items-end gap-1" data-testid="histogram">
      {shown.map(bin => (
        <li
          key={bin.low}
          title={`${name(bin)}: ${formatCount(bin.tokens)} tokens`}
          className="flex h-full min-w-0 flex-1 flex-col justify-end"
        >
          <span className="sr-only">
            {name(bin)}: {formatCount(bin.tokens)} tokens
          </span>
          <span aria-hidden className="truncate text-center text-[10px] leading-4 text-mute">
            {formatCount(bin.tokens)}
          </span>
          <span
            aria-hidden
            className="mx-auto w-full max-w-12 rounded-t-sm bg-accent-solid"
            style={{ height: `${bin.tokens === 0 ? 0 : Math.max(1, (bin.tokens / most) * 75)}%` }}
          />
          <span
            aria-hidden
            className="w-full truncate border-t border-edge text-center text-[10px] leading-5 text-mute"
          >
            {formatTick(bin.low, 2)}
          </span>
        </li>
      ))}
    </ol>
  )
}

export type Counted = { text: string; count: number; share: number }

/** Counted things, the commonest first. */
export function ShareList({ title, about, items }: { title: string; about?: string; items: Counted[] }) {
  return (
    <div className="min-w-0">
      <h3 className="mb-1 text-xs font-medium text-mute" title={about}>
        {title}
      </h3>
      {items.length === 0 ? (
        <p className="text-xs text-mute">none</p>
      ) : (
        <ul className="space-y-0.5 text-xs" aria-label={title}>
          {items.map(({ text, count, share }) => (
            <li
              key={text}
              className="relative flex justify-between gap-2 overflow-hidden rounded-sm px-1.5 py-0.5"
            >
              <span
                aria-hidden
                className="absolute inset-y-0 left-0 bg-accent-soft"
                style={{ width: `${share * 100}%` }}
              />
              <span className="relative min-w-0 truncate font-mono">{text}</span>
              <span className="relative shrink-0 text-soft">
                {formatCount(count)} · {Math.round(share * 100)} %
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

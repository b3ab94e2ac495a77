// A histogram: bars to look at, a list for screen readers. Empty bins at either end are left out.
import { formatCount } from '../parts/format.ts'

export type Bin = {
  /** In full, for tooltips and screen readers. */
  name: string
  /** Under the bar; default: the name. */
  mark?: string
  count: number
}

/** @param props.unit what is counted @param props.format the count above a bar @param props.empty where nothing was counted */
export function Histogram(props: {
  label: string
  unit: string
  bins: readonly Bin[]
  format?: (count: number) => string
  empty: string
  tall?: boolean
}) {
  const { label, unit, bins, format = formatCount, empty, tall = false } = props
  const first = bins.findIndex(({ count }) => count > 0)
  if (first < 0) return <p className="text-mute">{empty}</p>
  const shown = bins.slice(first, bins.findLastIndex(({ count }) => count > 0) + 1)
  const most = Math.max(...shown.map(({ count }) => count))
  return (
    <ol
      aria-label={label}
      className={`flex items-end gap-1 ${tall ? 'h-44' : 'h-36'}`}
      data-testid="histogram"
    >
      {shown.map(bin => (
        <Bar key={bin.name} bin={bin} most={most} unit={unit} format={format} />
      ))}
    </ol>
  )
}

function Bar(props: { bin: Bin; most: number; unit: string; format: (count: number) => string }) {
  const { bin, most, unit, format } = props
  const { name, mark = name, count } = bin
  const text = `${name}: ${formatCount(count)} ${unit}`
  const height = count === 0 ? 0 : Math.max(1, (count / most) * 75)
  return (
    <li
      title={text}
      className="flex h-full min-w-0 flex-1 flex-col justify-end text-center text-[10px] text-mute"
    >
      <span className="sr-only">{text}</span>
      <span aria-hidden className="truncate leading-4">
        {format(count)}
      </span>
      <span
        aria-hidden
        className="mx-auto w-full max-w-12 rounded-t-sm bg-accent-solid"
        style={{ height: `${height}%` }}
      />
      <span aria-hidden className="w-full truncate border-t border-edge leading-5">
        {mark}
      </span>
    </li>
  )
}

// A live line chart. The figures it shows are in the page too: `data-points` holds every point with the event it comes
// from, and the values can be opened as a table.
import { useState } from 'react'
import { Missing } from '../parts/hint.tsx'
import { type ChartSeries, Plot } from './plot.tsx'
import { isDashed, seriesColour } from './series_colour.ts'
import { Values } from './values.tsx'

type Props = {
  title: string
  /** What a value means: the tooltip of the title. */
  about: string
  xName: string
  x: number[]
  formatX: (value: number) => string
  formatY: (value: number) => string
  /** Short form, for the axis. */
  formatTick: (value: number) => string
  series: ChartSeries[]
  /** Content of `data-points`, for tests and for copying. */
  points: unknown[]
}

export function LineChart(props: Props) {
  const { title, about, xName, x, formatX, formatY, formatTick, series, points } = props
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [hover, setHover] = useState<number | null>(null)
  const shown = hover === null || hover >= x.length ? x.length - 1 : hover
  const several = series.length > 1
  const summary =
    x.length === 0 ? 'no points yet' : `${x.length} points, up to ${xName} ${formatX(x.at(-1)!)}`
  return (
    <figure
      className="panel min-w-0 p-3"
      aria-label={title}
      data-testid={`chart-${title.toLowerCase().replace(/\W+/g, '-')}`}
      data-points={JSON.stringify(points)}
    >
      <figcaption className="mb-1 flex items-baseline justify-between gap-2">
        <h3 className="truncate font-semibold" title={about}>
          {title}
        </h3>
        <p className="shrink-0 text-xs text-soft" data-testid="chart-value">
          {x.length > 0 && <span className="mr-1.5 text-mute">{formatX(x[shown])}</span>}
          {!several && <Value value={series[0]?.values[shown]} format={formatY} />}
        </p>
      </figcaption>
      <div role="img" aria-label={`${title}: ${about}. ${summary}`} className="relative">
        <Plot
          x={x}
          series={series.filter(({ name }) => !hidden.has(name))}
          formatX={formatX}
          formatTick={formatTick}
          onHover={setHover}
        />
        {x.length === 0 && (
          <p className="absolute inset-0 grid place-items-center text-xs text-mute">No data yet</p>
        )}
      </div>
      {several && (
        <Legend
          {...{ title, series, shown, formatY, hidden }}
          onToggle={name => setHidden(toggled(hidden, name))}
        />
      )}
      <Values of={title}>{() => <ValueTable {...props} />}</Values>
    </figure>
  )
}

const Value = ({ value, format }: { value: number | null | undefined; format: (value: number) => string }) =>
  value === undefined ? null : value === null ? (
    <Missing why="not measured at this point" />
  ) : (
    <span className="font-semibold text-ink">{format(value)}</span>
  )

function toggled(set: ReadonlySet<string>, name: string): Set<string> {
  const next = new Set(set)
  if (!next.delete(name)) next.add(name)
  return next
}

/** The curves with their values at point `shown`; pressing one hides or shows it. */
function Legend(
  props: Pick<Props, 'title' | 'series' | 'formatY'> & {
    shown: number
    hidden: ReadonlySet<string>
    onToggle: (name: string) => void
  },
) {
  const { title, series, formatY, shown, hidden, onToggle } = props
  return (
    <ul className="mt-1 max-h-24 overflow-y-auto text-xs" aria-label={`Curves of ${title}`}>
      {series.map(({ name, colour, values }) => (
        <li key={name}>
          <button
            type="button"
            aria-pressed={!hidden.has(name)}
            onClick={() => onToggle(name)}
            className={`flex w-full items-center gap-2 rounded-sm px-1 py-px text-left hover:bg-hover ${hidden.has(name) ? 'opacity-45' : ''}`}
          >
            <svg aria-hidden width="16" height="4" className="shrink-0">
              <line
                x2="16"
                y1="2"
                y2="2"
                strokeWidth="2.5"
                stroke={seriesColour(colour)}
                strokeDasharray={isDashed(colour) ? '4 3' : undefined}
              />
            </svg>
            <span className="min-w-0 flex-1 truncate font-mono">{name}</span>
            <span>
              <Value value={values[shown]} format={formatY} />
            </span>
          </button>
        </li>
      ))}
    </ul>
  )
}

const rowsShown = 200

/** The newest values in figures. */
function ValueTable({ xName, x, series, formatX, formatY }: Props) {
  const first = Math.max(0, x.length - rowsShown)
  return (
    <div className="mt-1 max-h-48 overflow-auto">
      <table className="w-full text-right">
        <thead className="sticky top-0 bg-surface text-mute">
          <tr>
            {[xName, ...series.map(({ name }) => name)].map(name => (
              <th key={name} scope="col" className="px-1.5 font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {x.slice(first).map((value, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: points are only ever added
            <tr key={first + i}>
              <td className="px-1.5">{formatX(value)}</td>
              {series.map(({ name, values }) => {
                const y = values[first + i]
                return (
                  <td key={name} className="px-1.5">
                    {y === null || y === undefined ? '–' : formatY(y)}
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {first > 0 && (
        <p className="text-mute">
          the newest {rowsShown} of {x.length}
        </p>
      )}
    </div>
  )
}

// A live line chart on uPlot. The figures it shows are also in the page: `data-points` holds every point with the event
// it comes from, and the values can be opened as a table.
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import { Missing } from '../parts/hint.tsx'
import { useShownTheme } from '../parts/theme.ts'
import { rangeOf } from './range.ts'

export type ChartSeries = {
  name: string
  /** Colour 0 to 7 of the palette; dashed from 8 on. */
  colour: number
  values: (number | null)[]
}

type Props = {
  title: string
  /** What one value means; shown beneath the title. */
  about: string
  xName: string
  x: number[]
  formatX: (value: number) => string
  formatY: (value: number) => string
  /** Short form for the axis. */
  formatTick: (value: number) => string
  series: ChartSeries[]
  /** What `data-points` holds, for tests and for those who want to copy them. */
  points: unknown[]
}

const height = 190

export function LineChart(props: Props) {
  const { title, about, xName, x, formatX, formatY, formatTick, series, points } = props
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [hover, setHover] = useState<number | null>(null)
  const shown = hover === null || hover >= x.length ? x.length - 1 : hover
  const many = series.length > 1
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
          {!many && <Value value={series[0]?.values[shown]} format={formatY} />}
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
          <p className="absolute inset-0 grid place-items-center text-xs text-mute">No measurement yet</p>
        )}
      </div>
      {many && (
        <ul className="mt-1 max-h-24 overflow-y-auto text-xs" aria-label={`Curves of ${title}`}>
          {series.map(({ name, colour, values }) => (
            <li key={name}>
              <button
                type="button"
                aria-pressed={!hidden.has(name)}
                onClick={() => setHidden(toggled(hidden, name))}
                className={`flex w-full items-center gap-2 rounded-sm px-1 py-px text-left hover:bg-hover ${hidden.has(name) ? 'opacity-45' : ''}`}
              >
                <svg aria-hidden width="16" height="4" className="shrink-0">
                  <line
                    x2="16"
                    y1="2"
                    y2="2"
                    strokeWidth="2.5"
                    stroke={`var(--color-series-${(colour % 8) + 1})`}
                    strokeDasharray={colour >= 8 ? '4 3' : undefined}
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
      )}
      <ValueTable {...props} />
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

const rowsShown = 200

/** The newest values in figures, made only when somebody asks. */
function ValueTable({ title, xName, x, series, formatX, formatY }: Props) {
  const [open, setOpen] = useState(false)
  const first = Math.max(0, x.length - rowsShown)
  return (
    <details className="mt-1 text-xs" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary className="w-fit rounded-sm text-mute hover:text-ink">
        Values<span className="sr-only"> of {title}</span>
      </summary>
      {open && (
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
                // biome-ignore lint/suspicious/noArrayIndexKey: points are only added
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
      )}
    </details>
  )
}

type PlotProps = Pick<Props, 'x' | 'series' | 'formatX' | 'formatTick'> & {
  onHover: (index: number | null) => void
}

function Plot({ x, series, formatX, formatTick, onHover }: PlotProps) {
  const target = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const theme = useShownTheme()
  const shape = JSON.stringify(series.map(({ name, colour }) => [name, colour]))
  const data = useMemo(() => [x, ...series.map(({ values }) => values)] as uPlot.AlignedData, [x, series])
  const newest = useRef({ data, formatX, formatTick, onHover })
  newest.current = { data, formatX, formatTick, onHover }

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew for other colours, not for other data
  useEffect(() => {
    const element = target.current!
    const mine = new uPlot(optionsOf(element, JSON.parse(shape), newest), newest.current.data, element)
    plot.current = mine
    const observer = new ResizeObserver(() => mine.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      mine.destroy()
      plot.current = undefined
    }
  }, [shape, theme])

  useEffect(() => {
    plot.current?.setData(data)
  }, [data])

  return <div ref={target} style={{ height }} className="w-full min-w-0 overflow-hidden" />
}

function optionsOf(
  element: HTMLElement,
  shape: [string, number][],
  newest: { current: Pick<PlotProps, 'formatX' | 'formatTick' | 'onHover'> },
): uPlot.Options {
  const colour = (name: string) => resolved(element, name)
  const axis: uPlot.Axis = {
    stroke: colour('--color-mute'),
    grid: { stroke: colour('--color-line'), width: 1 },
    ticks: { show: false },
    font: `11px ${getComputedStyle(element).fontFamily}`,
  }
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false },
      y: { range: (_, min, max) => rangeOf(min, max) },
    },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(tick => newest.current.formatX(tick)) },
      {
        ...axis,
        size: 52,
        space: 36,
        values: (_, ticks) => ticks.map(tick => newest.current.formatTick(tick)),
      },
    ],
    series: [
      {},
      ...shape.map(([name, index]) => ({
        label: name,
        stroke: colour(`--color-series-${(index % 8) + 1}`),
        width: 1.75,
        points: { size: 4 },
        ...(index >= 8 && { dash: [5, 4] }),
      })),
    ],
    hooks: { setCursor: [({ cursor }) => newest.current.onHover(cursor.idx ?? null)] },
  }
}

/** A canvas knows no custom properties: the colour as the page shows it now. */
function resolved(element: HTMLElement, property: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${property})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

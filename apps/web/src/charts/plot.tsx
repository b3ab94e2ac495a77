// The drawing of a line chart, on uPlot. New data only update it; other curves or another theme draw it anew.
import { useEffect, useMemo, useRef } from 'react'
import uPlot from 'uplot'
import { useShownTheme } from '../parts/theme.ts'
import { rangeOf } from './range.ts'
import { isDashed, seriesProperty } from './series_colour.ts'

export type ChartSeries = {
  name: string
  /** Position in the palette; see series_colour.ts. */
  colour: number
  values: (number | null)[]
}

export type PlotProps = {
  x: number[]
  series: ChartSeries[]
  formatX: (value: number) => string
  /** Short form, for the axis. */
  formatTick: (value: number) => string
  /** Index of the point under the pointer, or null. */
  onHover: (index: number | null) => void
}

/** Of the drawing, in pixels. */
const height = 190

export function Plot({ x, series, formatX, formatTick, onHover }: PlotProps) {
  const target = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const theme = useShownTheme()
  const shape = JSON.stringify(series.map(({ name, colour }) => [name, colour]))
  const data = useMemo(() => [x, ...series.map(({ values }) => values)] as uPlot.AlignedData, [x, series])
  const newest = useRef({ data, formatX, formatTick, onHover })
  newest.current = { data, formatX, formatTick, onHover }

  // biome-ignore lint/correctness/useExhaustiveDependencies: redrawn for another theme, not for new data
  useEffect(() => {
    const element = target.current!
    const own = new uPlot(optionsOf(element, JSON.parse(shape), newest), newest.current.data, element)
    plot.current = own
    const observer = new ResizeObserver(() => own.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      own.destroy()
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
  const colour = (property: string) => resolved(element, property)
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
      ...shape.map(([name, i]) => ({
        label: name,
        stroke: colour(seriesProperty(i)),
        width: 1.75,
        points: { size: 4 },
        ...(isDashed(i) && { dash: [5, 4] }),
      })),
    ],
    hooks: { setCursor: [({ cursor }) => newest.current.onHover(cursor.idx ?? null)] },
  }
}

/** A canvas cannot use custom properties: the colour that one has now. */
function resolved(element: HTMLElement, property: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${property})`
  element.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

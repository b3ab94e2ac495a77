// The three charts of an extraction over time, from its events alone.
import type { StudioEvent } from '@mistudio/contract'
import { useMemo } from 'react'
import { LineChart } from '../../charts/line_chart.tsx'
import { extractionPoints, type Point } from '../../charts/points.ts'
import { formatClock, formatCount, formatRate, formatShort } from '../../parts/format.ts'

export function Graphs({ events }: { events: StudioEvent[] }) {
  const { collected, rate, speed } = useMemo(() => extractionPoints(events), [events])
  return (
    <section aria-label="Graphs" className="mb-6 grid gap-4 lg:grid-cols-3">
      <Graph
        title="Examples Collected"
        about="Top examples held across all features"
        points={collected}
        format={formatCount}
      />
      <Graph
        title="Collection Rate"
        about="Examples collected between two reports, divided by the time between them"
        points={rate}
        format={value => formatRate(value, 'examples')}
      />
      <Graph
        title="Speed"
        about="Samples per second over the last few seconds"
        points={speed}
        format={value => formatRate(value, 'samples')}
      />
    </section>
  )
}

function Graph(props: { title: string; about: string; points: Point[]; format: (value: number) => string }) {
  const { title, about, points, format } = props
  const x = useMemo(() => points.map(({ seconds }) => seconds), [points])
  const series = useMemo(
    () => [{ name: title, colour: 0, values: points.map(({ value }) => value) }],
    [points, title],
  )
  return (
    <LineChart
      title={title}
      about={about}
      xName="time"
      x={x}
      formatX={formatClock}
      formatY={format}
      formatTick={formatShort}
      series={series}
      points={points.map(({ seq, at, value }) => ({ seq, at, value }))}
    />
  )
}

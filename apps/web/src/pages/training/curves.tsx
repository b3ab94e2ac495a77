// Four charts of a training's SAEs over the steps; what the last one shows can be chosen.
import type { Metric } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { queries } from '../../api.ts'
import { LineChart } from '../../charts/line_chart.tsx'
import { curveOf, type TrainingCurves } from '../../charts/points.ts'
import { formatCount, formatFigure, formatShort } from '../../parts/format.ts'

const fixed = ['fvu', 'loss', 'l0']

export function Curves({ curves }: { curves: TrainingCurves }) {
  const known = useQuery(queries.metrics())
  const metrics = known.data?.data.filter(({ where }) => where.includes('training')) ?? []
  const [chosen, setChosen] = useState('dead_latents')
  const curve = (name: string) => {
    const metric = metrics.find(one => one.name === name)
    return (
      <Curve
        title={metric?.label ?? name}
        about={metric?.definition ?? 'of every SAE'}
        metric={name}
        curves={curves}
      />
    )
  }
  return (
    <section aria-label="Curves" className="mb-6 grid gap-4 lg:grid-cols-2">
      {fixed.map(name => (
        <div key={name} className="min-w-0">
          {curve(name)}
        </div>
      ))}
      <div className="min-w-0">
        {metrics.length > 0 && <MetricChoice metrics={metrics} chosen={chosen} onChoose={setChosen} />}
        {curve(chosen)}
      </div>
    </section>
  )
}

function MetricChoice(props: { metrics: Metric[]; chosen: string; onChoose: (name: string) => void }) {
  const { metrics, chosen, onChoose } = props
  return (
    <label className="mb-1 flex items-center justify-end gap-2 text-xs text-mute">
      Show
      <select
        className="field-box w-auto py-0.5 text-xs"
        value={chosen}
        onChange={event => onChoose(event.target.value)}
      >
        {metrics.map(({ name, label }) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
    </label>
  )
}

function Curve(props: { title: string; about: string; metric: string; curves: TrainingCurves }) {
  const { title, about, metric, curves } = props
  const { steps, seqs, members } = curves
  const series = useMemo(
    () => [...members].map(([name, reports], colour) => ({ name, colour, values: curveOf(reports, metric) })),
    [members, metric],
  )
  const points = steps.map((step, i) => ({
    seq: seqs[i],
    step,
    ...Object.fromEntries(series.map(({ name, values }) => [name, values[i]])),
  }))
  return (
    <LineChart
      title={title}
      about={about}
      xName="step"
      x={steps}
      formatX={formatCount}
      formatY={formatFigure}
      formatTick={formatShort}
      series={series}
      points={points}
    />
  )
}

// The frontier of a training with variants: FVU against L0, a point for each SAE, joined in the order of L0; lower left
// is better. Drawn as SVG, with its figures in a table for screen readers.
import { formatFigure, formatTick } from '../parts/format.ts'
import { type Axis, axisOf } from './axis.ts'
import { isDashed, seriesColour } from './series_colour.ts'
import { Values } from './values.tsx'

export type FrontierPoint = { name: string; group: string; l0: number; fvu: number }

/** The drawing in its own units; the plot lies between the margins. */
const width = 640
const height = 300
const plot = { left: 56, right: width - 16, top: 12, bottom: height - 38 }

type Scale = Pick<Axis, 'ticks' | 'log'> & {
  /** Position in the drawing. */
  place: (value: number) => number
}

function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const { at, ticks, log } = axisOf(values)
  return { ticks, log, place: value => from + at(value) * (to - from) }
}

/** @param props.points two or more; points of one group are joined */
export function Frontier({ points }: { points: FrontierPoint[] }) {
  if (points.length < 2) return null
  const x = scaleOf(
    points.map(({ l0 }) => l0),
    plot.left,
    plot.right,
  )
  const y = scaleOf(
    points.map(({ fvu }) => fvu),
    plot.bottom,
    plot.top,
  )
  const groups = [...new Set(points.map(({ group }) => group))]
  return (
    <figure className="panel min-w-0 p-3" aria-label="Frontier" data-testid="frontier">
      <div className="overflow-x-auto">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          className="w-full max-w-3xl min-w-80"
          role="img"
          aria-label={`FVU against L0 of ${points.length} SAEs; the table below has the figures`}
        >
          <XAxis scale={x} name="L0, latents per token" />
          <YAxis scale={y} name="FVU" />
          {groups.map((group, i) => (
            <Curve key={group} points={points.filter(point => point.group === group)} i={i} x={x} y={y} />
          ))}
        </svg>
      </div>
      <Legend groups={groups} />
      <Values of="the frontier">{() => <Table points={points} />}</Values>
    </figure>
  )
}

const tickText = { fontSize: 11, fill: 'var(--color-mute)' }
const nameText = { fontSize: 11, fill: 'var(--color-soft)', textAnchor: 'middle' } as const
const grid = 'var(--color-line)'

function XAxis({ scale, name }: { scale: Scale; name: string }) {
  return (
    <>
      {scale.ticks.map(tick => {
        const x = scale.place(tick)
        return (
          <g key={tick}>
            <line x1={x} x2={x} y1={plot.top} y2={plot.bottom} stroke={grid} />
            <text x={x} y={plot.bottom + 15} textAnchor="middle" {...tickText}>
              {formatTick(tick)}
            </text>
          </g>
        )
      })}
      <text x={(plot.left + plot.right) / 2} y={height - 4} {...nameText}>
        {name}
        {scale.log && ' (log)'}
      </text>
    </>
  )
}

function YAxis({ scale, name }: { scale: Scale; name: string }) {
  return (
    <>
      {scale.ticks.map(tick => {
        const y = scale.place(tick)
        return (
          <g key={tick}>
            <line x1={plot.left} x2={plot.right} y1={y} y2={y} stroke={grid} />
            <text x={plot.left - 6} y={y + 4} textAnchor="end" {...tickText}>
              {formatTick(tick)}
            </text>
          </g>
        )
      })}
      <text transform={`translate(12 ${(plot.bottom + plot.top) / 2}) rotate(-90)`} {...nameText}>
        {name}
        {scale.log && ' (log)'}
      </text>
    </>
  )
}

function Curve({ points, i, x, y }: { points: FrontierPoint[]; i: number; x: Scale; y: Scale }) {
  const ordered = points.toSorted((a, b) => a.l0 - b.l0)
  const colour = seriesColour(i)
  return (
    <g>
      <polyline
        points={ordered.map(({ l0, fvu }) => `${x.place(l0)},${y.place(fvu)}`).join(' ')}
        fill="none"
        stroke={colour}
        strokeWidth="1.5"
        strokeDasharray={isDashed(i) ? '5 4' : undefined}
      />
      {ordered.map(({ name, l0, fvu }) => (
        <circle key={name} cx={x.place(l0)} cy={y.place(fvu)} r="4.5" fill={colour}>
          <title>{`${name}: L0 ${formatFigure(l0)}, FVU ${formatFigure(fvu)}`}</title>
        </circle>
      ))}
    </g>
  )
}

const Legend = ({ groups }: { groups: string[] }) => (
  <ul className="mt-1 flex flex-wrap gap-x-4 gap-y-1 text-xs">
    {groups.map((group, i) => (
      <li key={group} className="flex items-center gap-1.5">
        <span aria-hidden className="size-2.5 rounded-full" style={{ background: seriesColour(i) }} />
        <span className="font-mono">{group}</span>
      </li>
    ))}
  </ul>
)

const Table = ({ points }: { points: FrontierPoint[] }) => (
  <table className="mt-1 w-full text-left">
    <thead className="text-mute">
      <tr>
        <th scope="col">SAE</th>
        <th scope="col" className="text-right">
          L0
        </th>
        <th scope="col" className="text-right">
          FVU
        </th>
      </tr>
    </thead>
    <tbody>
      {points.map(({ name, l0, fvu }) => (
        <tr key={name}>
          <td className="font-mono break-all">{name}</td>
          <td className="text-right">{formatFigure(l0)}</td>
          <td className="text-right">{formatFigure(fvu)}</td>
        </tr>
      ))}
    </tbody>
  </table>
)

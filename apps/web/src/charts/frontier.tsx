// The frontier of a training with variants: L0 against FVU, a point an SAE, joined in the order of L0. Down and to the
// left is better. Drawn as SVG, with its figures in a table for those who do not see it.
import { formatFigure, formatTick } from '../parts/format.ts'

export type FrontierPoint = { name: string; group: string; l0: number; fvu: number }

const width = 640
const height = 300
const left = 56
const bottom = 38
const top = 12
const right = 16

/** Positions on a logarithmic axis where the values span more than a factor of four, else on a linear one. */
export function axisOf(values: readonly number[]): {
  at: (value: number) => number
  ticks: number[]
  log: boolean
} {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const log = low > 0 && high / low > 4
  const scale = log ? Math.log : (value: number) => value
  const pad = (scale(high) - scale(low)) * 0.08 || Math.abs(scale(low)) * 0.1 || 0.5
  const [from, to] = [scale(low) - pad, scale(high) + pad]
  const back = log ? Math.exp : (value: number) => value
  const ticks = Array.from({ length: 5 }, (_, i) => back(from + ((to - from) * (i + 0.5)) / 5))
  return { at: value => (scale(value) - from) / (to - from), ticks, log }
}

export function Frontier({ points }: { points: FrontierPoint[] }) {
  if (points.length < 2) return null
  const x = axisOf(points.map(({ l0 }) => l0))
  const y = axisOf(points.map(({ fvu }) => fvu))
  const px = (value: number) => left + x.at(value) * (width - left - right)
  const py = (value: number) => height - bottom - y.at(value) * (height - bottom - top)
  const groups = [...new Set(points.map(({ group }) => group))]
  return (
    <figure className="panel min-w-0 p-3" aria-label="Frontier" data-testid="frontier">
      <div className="overflow-x-auto">
        <svg
          viewBox={`0 0 ${width} ${height}`}
          className="w-full max-w-3xl min-w-80"
          role="img"
          aria-label={`FVU against L0 of ${points.length} SAEs; the table has the figures`}
        >
          {x.ticks.map(tick => (
            <g key={tick}>
              <line x1={px(tick)} x2={px(tick)} y1={top} y2={height - bottom} stroke="var(--color-line)" />
              <text
                x={px(tick)}
                y={height - bottom + 15}
                textAnchor="middle"
                fontSize="11"
                fill="var(--color-mute)"
              >
                {formatTick(tick)}
              </text>
            </g>
          ))}
          {y.ticks.map(tick => (
            <g key={tick}>
              <line x1={left} x2={width - right} y1={py(tick)} y2={py(tick)} stroke="var(--color-line)" />
              <text x={left - 6} y={py(tick) + 4} textAnchor="end" fontSize="11" fill="var(--color-mute)">
                {formatTick(tick)}
              </text>
            </g>
          ))}
          <text
            x={(left + width - right) / 2}
            y={height - 4}
            textAnchor="middle"
            fontSize="11"
            fill="var(--color-soft)"
          >
            L0, latents a token{x.log && ' (log)'}
          </text>
          <text
            transform={`translate(12 ${(height - bottom + top) / 2}) rotate(-90)`}
            textAnchor="middle"
            fontSize="11"
            fill="var(--color-soft)"
          >
            FVU{y.log && ' (log)'}
          </text>
          {groups.map((group, i) => {
            const own = points.filter(point => point.group === group).sort((a, b) => a.l0 - b.l0)
            const colour = `var(--color-series-${(i % 8) + 1})`
            return (
              <g key={group}>
                <polyline
                  points={own.map(({ l0, fvu }) => `${px(l0)},${py(fvu)}`).join(' ')}
                  fill="none"
                  stroke={colour}
                  strokeWidth="1.5"
                  strokeDasharray={i >= 8 ? '5 4' : undefined}
                />
                {own.map(({ name, l0, fvu }) => (
                  <circle key={name} cx={px(l0)} cy={py(fvu)} r="4.5" fill={colour}>
                    <title>{`${name}: L0 ${formatFigure(l0)}, FVU ${formatFigure(fvu)}`}</title>
                  </circle>
                ))}
              </g>
            )
          })}
        </svg>
      </div>
      <ul className="mt-1 flex flex-wrap gap-x-4 gap-y-1 text-xs">
        {groups.map((group, i) => (
          <li key={group} className="flex items-center gap-1.5">
            <span
              aria-hidden
              className="size-2.5 rounded-full"
              style={{ background: `var(--color-series-${(i % 8) + 1})` }}
            />
            <span className="font-mono">{group}</span>
          </li>
        ))}
      </ul>
      <details className="mt-1 text-xs">
        <summary className="w-fit rounded-sm text-mute hover:text-ink">
          Values<span className="sr-only"> of the frontier</span>
        </summary>
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
      </details>
    </figure>
  )
}

// The frontier as a chart: L0 (logarithmic) against FVU and against ΔCE, one series per family. A pure function of
// its data; colours follow the reader's light or dark scheme, shapes distinguish the series without colour.

import { type FrontierMetric, type FrontierRun, onFrontier } from './frontier.ts'
import { metricTable } from './metric_table.ts'

const panel = { width: 360, height: 260, left: 56, right: 14, top: 34, bottom: 46 }
/** Legible on both white and black. */
const colours = ['#3b82c4', '#d1703c', '#3a9d6e', '#a86bc4', '#b8932f', '#c4566b', '#3aa3ad', '#7f8794']
const shapes = ['circle', 'square', 'triangle', 'diamond'] as const

type Point = { run: FrontierRun; x: number; y: number; best: boolean }

/** @returns the text of a file, without a fixed width, so that it scales */
export function frontierSvg(options: { runs: readonly FrontierRun[]; title?: string }): string {
  const { runs, title = 'Frontier of runs' } = options
  const families = [...new Set(runs.map(({ family }) => family))].sort()
  const width = 2 * panel.width
  const height = panel.height + 26 + 18 * Math.ceil(families.length / 4)
  const label = `${title}: L0 against FVU and ΔCE of ${runs.length} runs of ${families.join(', ')}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">`,
    `<title>${escaped(title)}</title>`,
    '<style>',
    'svg{color:#20262d;font:12px system-ui,sans-serif}text{fill:currentColor}',
    '.axis{stroke:currentColor;stroke-opacity:.5}.grid{stroke:currentColor;stroke-opacity:.12}',
    '.line{fill:none;stroke-width:1.5}.dim{fill-opacity:.35}',
    '@media (prefers-color-scheme:dark){svg{color:#e4e7ea}}',
    '</style>',
    ...drawPanel({ runs, families, metric: 'fvu', at: 0 }),
    ...drawPanel({ runs, families, metric: 'delta_ce', at: panel.width }),
    ...legend(families),
    '</svg>',
    '',
  ].join('\n')
}

function drawPanel(options: {
  runs: readonly FrontierRun[]
  families: readonly string[]
  metric: FrontierMetric
  at: number
}): string[] {
  const { runs, families, metric, at } = options
  const { label, unit } = metricTable[metric]
  const known = runs.filter(
    run => run.l0 !== null && run.l0 > 0 && Number.isFinite(run[metric] ?? Number.NaN),
  )
  const heading = `<text x="${at + panel.left}" y="20" font-weight="600">${escaped(label)}${unit === '' ? '' : ` (${escaped(unit)})`}</text>`
  if (known.length === 0) return [heading, `<text x="${at + panel.left}" y="60">not measured</text>`]
  const xTicks = logTicks(known.map(({ l0 }) => l0!))
  const yTicks = linearTicks(known.map(run => run[metric]!))
  const x = scale({
    from: Math.log(xTicks[0]),
    to: Math.log(xTicks.at(-1)!),
    low: at + panel.left,
    high: at + panel.width - panel.right,
  })
  const y = scale({ from: yTicks[0], to: yTicks.at(-1)!, low: panel.height - panel.bottom, high: panel.top })
  const best = onFrontier(known, metric)
  const points: Point[] = known.map((run, i) => ({
    run,
    x: x(Math.log(run.l0!)),
    y: y(run[metric]!),
    best: best[i],
  }))
  const [left, right] = [at + panel.left, at + panel.width - panel.right]
  const bottom = panel.height - panel.bottom
  return [
    heading,
    ...yTicks.flatMap(tick => [
      `<path class="grid" d="M${left} ${fixed(y(tick))}H${right}"/>`,
      `<text x="${left - 6}" y="${fixed(y(tick) + 4)}" text-anchor="end">${number(tick)}</text>`,
    ]),
    ...xTicks.flatMap(tick => [
      `<path class="grid" d="M${fixed(x(Math.log(tick)))} ${panel.top}V${bottom}"/>`,
      `<text x="${fixed(x(Math.log(tick)))}" y="${bottom + 16}" text-anchor="middle">${number(tick)}</text>`,
    ]),
    `<path class="axis" fill="none" d="M${left} ${panel.top}V${bottom}H${right}"/>`,
    `<text x="${fixed((left + right) / 2)}" y="${bottom + 34}" text-anchor="middle">L0 (latents / token)</text>`,
    ...families.flatMap((family, i) => series({ family, i, metric, points })),
  ]
}

function series(options: {
  family: string
  i: number
  metric: FrontierMetric
  points: readonly Point[]
}): string[] {
  const { family, i, metric, points } = options
  const own = points.filter(({ run }) => run.family === family).sort((a, b) => a.x - b.x)
  if (own.length === 0) return []
  const colour = colours[i % colours.length]
  const path = own.map((point, n) => `${n === 0 ? 'M' : 'L'}${fixed(point.x)} ${fixed(point.y)}`).join('')
  return [
    `<g fill="${colour}" stroke="${colour}">`,
    `<path class="line" d="${path}"/>`,
    ...own.map(({ run, x, y, best }) => {
      const text = `${run.name} (${family}): L0 ${number(run.l0!)}, ${metricTable[metric].label} ${number(run[metric]!)}${best ? ', on the frontier' : ''}`
      return `<g${best ? '' : ' class="dim"'}><title>${escaped(text)}</title>${mark(i, x, y)}</g>`
    }),
    '</g>',
  ]
}

function legend(families: readonly string[]): string[] {
  return families.map((family, i) => {
    const x = panel.left + (i % 4) * 165
    const y = panel.height + 18 + 18 * Math.floor(i / 4)
    const colour = colours[i % colours.length]
    return `<g fill="${colour}" stroke="${colour}">${mark(i, x, y)}<text x="${x + 10}" y="${y + 4}" stroke="none">${escaped(family)}</text></g>`
  })
}

function mark(i: number, x: number, y: number): string {
  const r = 4
  const [a, b] = [fixed(x), fixed(y)]
  switch (shapes[i % shapes.length]) {
    case 'circle':
      return `<circle cx="${a}" cy="${b}" r="${r}"/>`
    case 'square':
      return `<path d="M${fixed(x - r)} ${fixed(y - r)}h${2 * r}v${2 * r}h${-2 * r}z"/>`
    case 'triangle':
      return `<path d="M${a} ${fixed(y - r - 1)}l${r + 1} ${2 * r}h${-2 * (r + 1)}z"/>`
    case 'diamond':
      return `<path d="M${a} ${fixed(y - r - 1)}l${r + 1} ${r + 1}l${-(r + 1)} ${r + 1}l${-(r + 1)} ${-(r + 1)}z"/>`
  }
}

const scale =
  (range: { from: number; to: number; low: number; high: number }) =>
  (value: number): number =>
    range.low + ((value - range.from) / (range.to - range.from)) * (range.high - range.low)

/** Ticks at 1, 2 and 5 times powers of ten around the values; at least two. */
function logTicks(values: readonly number[]): number[] {
  const steps: number[] = []
  for (let power = -6; power <= 6; power++) for (const digit of [1, 2, 5]) steps.push(digit * 10 ** power)
  const first = Math.max(
    0,
    steps.findLastIndex(step => step <= Math.min(...values) * (1 + 1e-9)),
  )
  const after = steps.findIndex(step => step >= Math.max(...values) * (1 - 1e-9))
  const last = after < 0 ? steps.length - 1 : after
  return steps.slice(first, Math.max(last, first + 1) + 1)
}

/** Ticks from 0 (or below, if values are) in four or more equal steps of 1, 2 or 5. */
function linearTicks(values: readonly number[]): number[] {
  const least = Math.min(0, ...values)
  const most = Math.max(0, ...values)
  const rough = (most - least || 1) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * [1, 2, 5, 10].find(digit => digit * power >= rough * (1 - 1e-9))!
  const first = Math.floor(least / step)
  const last = Math.max(first + 1, Math.ceil(most / step - 1e-9))
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step)
}

const fixed = (value: number): string => String(Math.round(value * 10) / 10)
const number = (value: number): string => String(Number(value.toPrecision(3)))
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

// docs/metrics.md, written from the table of metrics: `node scripts/metrics_page.ts`. A test fails when the page is old.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Metric, metricCounts, metricTable } from '@mistudio/evaluation'

export const metricsPagePath = fileURLToPath(new URL('../docs/metrics.md', import.meta.url))

const better: Record<Metric['better'], string> = {
  lower: 'lower',
  higher: 'higher',
  one: 'nearer to 1',
  none: '–',
}

/** Cells of one line of a Markdown table. */
const row = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

export function metricsPage(): string {
  const metrics: [string, Metric][] = Object.entries(metricTable)
  const lines = [
    '# Metrics',
    '',
    'Written by `scripts/metrics_page.ts` from `packages/evaluation/src/metric_table.ts`; the formulas are in',
    '`packages/sae/src/metrics.ts`. Names are those of `--json`, of events and of the studio’s API. y is the activation to',
    'reconstruct (the input x itself for an SAE, another hook point for a transcoder), x̂ the reconstruction, f the',
    'activations, d a decoder row. Figures come from sums over all tokens counted, in float64, in the scale of the model’s',
    'own activations; what was not or cannot be measured is null. Masked positions (the first of a context and special',
    'tokens) are neither scored nor replaced.',
    '',
    '| wire name | metric | unit | better | definition | counted over | from | source |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...metrics.map(([wire, { label, unit, better: side, definition, counted, where, source }]) =>
      row([
        `\`${wire}\``,
        label,
        unit === '' ? '–' : unit,
        better[side],
        definition,
        counted === null ? '–' : `\`${counted}\``,
        where.join(', '),
        source === '' ? 'ours' : source,
      ]),
    ),
    '',
    '## Token counts',
    '',
    '| wire name | what it counts |',
    '| --- | --- |',
    ...Object.entries(metricCounts).map(([wire, meaning]) => row([`\`${wire}\``, meaning])),
    '',
  ]
  return lines.join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(metricsPagePath, metricsPage())

// `mistudio sae compare`: SAEs and result files beside each other, line by line; paired differences document by
// document; and the frontier of what sparsity costs, as a table and as an SVG.
import { readFileSync } from 'node:fs'
import { InputError } from '@mistudio/files'
import { defineCommand } from '../frame/command.ts'
import { writableFile } from '../frame/data_folder.ts'
import { count, figure, table } from '../frame/output.ts'
import {
  evaluatedSae,
  evaluateFolders,
  evaluationOptions,
  evaluationSpec,
  folderName,
  measuredOn,
  metricText,
  scalarMetrics,
} from './shared/evaluation.ts'

/** A result file larger than this is none. */
const largestResultBytes = 1 << 28

export const saeCompare = defineCommand({
  name: 'sae compare',
  summary: 'compare SAEs line by line, document by document, and as a frontier',
  details:
    'All SAEs are measured on the same tokens in one pass. Each is also compared with the first one document by document:\n' +
    'the difference of ΔCE a token with a 95 % bootstrap interval over documents. A run is on the frontier when no other\n' +
    'is at least as sparse and at least as good, and better in one. --json prints {"saes", "results", "paired", "frontier"}.',
  options: {
    ...evaluationOptions,
    results: {
      kind: 'paths',
      value: 'FILE.json',
      help: 'result files of SAEBench’s core evaluation to put beside them',
    },
    svg: { kind: 'path', value: 'FILE.svg', help: 'write the frontier as a chart' },
  },
  spec: values => ({
    ...evaluationSpec(values),
    results: values.results ?? [],
    svg: values.svg && writableFile({ path: values.svg, field: '--svg' }),
  }),
  async job(spec, context) {
    const { frontierSvg, onFrontier, pairedInterval } = await import('@mistudio/evaluation')
    const { writeFileAtomic } = await import('@mistudio/files')
    const results = await Promise.all(spec.results.map(readResult))
    const documents = spec.saes.map(() => new Map<string, { tokens: number; delta: number }>())
    const evaluated = await evaluateFolders({
      spec,
      context,
      onContext(member, { context: at, scored, clean, spliced }, documentsOf) {
        for (const { key, start, end } of documentsOf(at)) {
          const sums = documents[member].get(key) ?? { tokens: 0, delta: 0 }
          for (let t = start; t < end; t++) {
            if (scored[t] === 0) continue
            sums.tokens++
            sums.delta += spliced[t] - clean[t]
          }
          documents[member].set(key, sums)
        }
      },
    })
    const saes = evaluated.saes.map(one => evaluatedSae(one, evaluated.dataset))
    const measured = saes[0].ce_tokens > 0
    const paired = saes.slice(1).map(({ name }, i) => ({
      name,
      against: saes[0].name,
      ...(measured ? pairedInterval(documents[i + 1], documents[0]) : undefined),
    }))
    const runs = saes.map(({ name, family, l0, fvu, delta_ce }) => ({ name, family, l0, fvu, delta_ce }))
    const [byFvu, byCe] = [onFrontier(runs, 'fvu'), onFrontier(runs, 'delta_ce')]
    const frontier = runs
      .map((run, i) => ({ ...run, on_fvu_frontier: byFvu[i], on_delta_ce_frontier: byCe[i] }))
      .sort((a, b) => a.family.localeCompare(b.family) || (a.l0 ?? 0) - (b.l0 ?? 0))
    if (spec.svg !== undefined) writeFileAtomic(spec.svg, frontierSvg({ runs }))
    return { saes, results, paired, frontier, svg: spec.svg }
  },
  async present({ saes, results, paired, frontier, svg }) {
    const metrics = await scalarMetrics()
    const columns: { name: string; values: object }[] = [
      ...saes.map(sae => ({ name: sae.name, values: sae })),
      ...results,
    ]
    const lines = [
      `Measured on ${measuredOn(saes[0])}.`,
      '',
      table({
        head: ['metric', ...columns.map(({ name }) => name)],
        rows: metrics.map(([name, metric]) => [
          metric.label,
          ...columns.map(({ values }) => metricText(metric, (values as Record<string, unknown>)[name])),
        ]),
      }),
    ]
    if (paired.length > 0 && paired[0].documents !== undefined) {
      lines.push(
        '',
        `ΔCE against ${saes[0].name} over ${count(paired[0].documents)} documents (nats / token, 95 % bootstrap):`,
        table({
          head: ['SAE', 'difference', 'from', 'to'],
          rows: paired.map(({ name, mean, low, high }) => [name, figure(mean), figure(low), figure(high)]),
        }),
      )
    }
    lines.push(
      '',
      table({
        head: ['run', 'family', 'L0', 'FVU', '', 'ΔCE', ''],
        rows: frontier.map(run => [
          run.name,
          run.family,
          figure(run.l0),
          figure(run.fvu, 4),
          run.on_fvu_frontier ? 'frontier' : '',
          figure(run.delta_ce, 4),
          run.on_delta_ce_frontier ? 'frontier' : '',
        ]),
      }),
    )
    if (svg !== undefined) lines.push('', `The frontier as a chart: ${svg}`)
    return lines.join('\n')
  },
  json: ({ saes, results, paired, frontier }) => ({ saes, results, paired, frontier }),
})

type Result = { name: string; file: string; values: object }

/** @throws InputError for a file that is no result */
async function readResult(file: string): Promise<Result> {
  const { readSaebenchCore } = await import('@mistudio/evaluation')
  let content: unknown
  try {
    const bytes = readFileSync(file)
    if (bytes.length > largestResultBytes) throw new Error(`${bytes.length} bytes`)
    content = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new InputError({
      message: 'the result file cannot be read',
      file,
      field: '--results',
      found: (error as Error).message,
      expected: `JSON of at most ${largestResultBytes} bytes`,
    })
  }
  return { name: folderName(file), file, values: readSaebenchCore({ file, content }) }
}

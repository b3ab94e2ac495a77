import { basename } from 'node:path'
import type { ContextSource } from '@mistudio/capture'
import type { TokenSplit } from '@mistudio/corpus'
import type { ContextLosses, Evaluation, EvaluationSums, Metric } from '@mistudio/evaluation'
import type { LanguageModel } from '@mistudio/model'
import { type Sae, type SaeFile, saeFoldersIn } from '@mistudio/sae'
import { type WorkerPool, withWorkerPool } from '@mistudio/tensor'
import type { JobContext } from '../../frame/command.ts'
import type { OptionTable, Values } from '../../frame/option_table.ts'
import { count, figure, percent } from '../../frame/output.ts'
import { shared } from './options.ts'

export const evaluationOptions = {
  sae: {
    kind: 'paths',
    value: 'DIR',
    required: true,
    help: 'folders of SAEs, or of trainings: all of their SAEs',
  },
  model: shared.model,
  dataset: { kind: 'paths', value: 'DIR', required: true, help: 'token stores' },
  split: {
    kind: 'text',
    value: 'NAME',
    choices: ['held_out', 'train'],
    default: 'held_out',
    help: 'documents to measure on',
  },
  'max-tokens': {
    kind: 'integer',
    value: 'N',
    min: 1,
    default: 1_000_000,
    help: 'tokens for reconstruction, at most',
  },
  'ce-tokens': {
    kind: 'integer',
    value: 'N',
    min: 0,
    default: 65_536,
    help: 'tokens for cross-entropies and divergences, at most',
  },
  threads: shared.threads,
} as const satisfies OptionTable

export type EvaluationSpec = {
  saes: string[]
  model: string
  datasets: string[]
  split: 'held_out' | 'train'
  maxTokens: number
  maxCeTokens: number
  threads: number | undefined
}

export const evaluationSpec = (values: Values<typeof evaluationOptions>): EvaluationSpec => ({
  saes: values.sae.flatMap(saeFoldersIn),
  model: values.model,
  datasets: values.dataset,
  split: values.split === 'train' ? 'train' : 'held_out',
  maxTokens: values['max-tokens'],
  maxCeTokens: values['ce-tokens'],
  threads: values.threads,
})

export type EvaluatedSae = {
  path: string
  name: string
  family: string
  hook_point: string
  /** Where the reconstruction stands, where that is another one. */
  hook_out?: string
  d_sae: number
  k?: number
  dataset: string
} & Evaluation

export type LoadedSae = { sae: SaeFile; path: string; name: string }

export async function loadSaes(folders: readonly string[]): Promise<LoadedSae[]> {
  const { loadSae } = await import('@mistudio/sae')
  const names = shortNames(folders)
  return folders.map((path, i) => ({ sae: loadSae({ dir: path }), path, name: names[i] }))
}

/** The shortest ends of the paths that tell them apart. */
function shortNames(folders: readonly string[]): string[] {
  for (let parts = 1; parts < 6; parts++) {
    const names = folders.map(path => path.split(/[\\/]/).filter(Boolean).slice(-parts).join('/'))
    if (new Set(names).size === new Set(folders).size) return names
  }
  return [...folders]
}

export type Evaluated = {
  saes: { sae: LoadedSae; evaluation: Evaluation & { sums: EvaluationSums } }[]
  dataset: string
  contextSize: number
}

export type OpenedEvaluation = {
  pool: WorkerPool
  model: LanguageModel
  result: Evaluated
  datasets: { name: string; split: TokenSplit }[]
}

/**
 * All SAEs on the same tokens, in one pass of the model.
 * @param options.use anything else to be done while model and workers are open
 */
export async function evaluateFolders(options: {
  spec: EvaluationSpec
  context: JobContext
  onContext?: (member: number, losses: ContextLosses, document: DocumentOf) => void
  use?: (opened: OpenedEvaluation) => Promise<void>
}): Promise<Evaluated> {
  const { spec, context } = options
  const { openModelTexts, shuffledContexts } = await import('@mistudio/capture')
  const { evaluateSaes, openEvaluation } = await import('@mistudio/evaluation')
  const loaded = await loadSaes(spec.saes)
  const texts = await openModelTexts({ models: [spec.model], stores: spec.datasets })
  try {
    const { stores, contextSize } = texts
    const [model] = texts.models
    const splits = stores.map(store => store.split(spec.split))
    const source = shuffledContexts({ splits, contextSize, seed: 0 })
    return await withWorkerPool({ threads: spec.threads }, async pool => {
      const saes = loaded.map(({ sae, path }) => ({ sae, file: path }))
      const opened = await openEvaluation({ model, pool, contextSize, saes })
      const measured = await evaluateSaes({
        ...opened,
        pool,
        source,
        split: spec.split,
        maxTokens: spec.maxTokens,
        maxCeTokens: spec.maxCeTokens,
        stopped: context.signal.stopped,
        onProgress: (done, total) => context.progress({ stage: 'evaluating', done, total, unit: 'contexts' }),
        onContext: (member, losses) => options.onContext?.(member, losses, documentsOf(source, splits)),
      })
      await opened.close()
      const result: Evaluated = {
        saes: loaded.map((sae, i) => ({ sae, evaluation: measured[i] })),
        dataset: texts.datasets.join(', '),
        contextSize,
      }
      const datasets = stores.map(({ name }, i) => ({ name, split: splits[i] }))
      await options.use?.({ pool, model, result, datasets })
      return result
    })
  } finally {
    texts.close()
  }
}

/** The documents of a context by its position in the source: a key each, and its places [start, end). */
export type DocumentOf = (position: number) => { key: string; start: number; end: number }[]

const documentsOf =
  (source: ContextSource, splits: readonly TokenSplit[]): DocumentOf =>
  position => {
    const { file, context } = source.locate!(position)
    const split = splits.find(one => one.path === file)!
    return split
      .documentsOf(context)
      .map(({ start, end, document }) => ({ key: `${file}/${document}`, start, end }))
  }

export function evaluatedSae(one: Evaluated['saes'][number], dataset: string): EvaluatedSae {
  const { sae, path, name } = one.sae
  const { sums: _, ...evaluation } = one.evaluation
  const list = (spans: Sae['hooks']['inputs']) => spans.map(({ hook }) => hook).join(', ')
  const [hook, out] = [list(sae.hooks.inputs), list(sae.hooks.outputs)]
  return {
    path,
    name,
    family: sae.family,
    hook_point: hook,
    ...(out !== hook && { hook_out: out }),
    d_sae: sae.shape.dSae,
    ...(sae.activation.kind === 'topk' && { k: sae.activation.k }),
    dataset,
    ...evaluation,
  }
}

/** SAEBench's core result of each SAE, written beside each other where there are several. */
export async function writeSaebench(options: {
  file: string
  evaluated: Evaluated
  model: string
  pool: WorkerPool
}): Promise<string[]> {
  const { saebenchCore, weightMetrics } = await import('@mistudio/evaluation')
  const { writeFileAtomic } = await import('@mistudio/files')
  const { file, evaluated, model, pool } = options
  const paths: string[] = []
  for (const { sae, evaluation } of evaluated.saes) {
    const { sums, ...figures } = evaluation
    const result = saebenchCore({
      evaluation: figures,
      sums,
      weights: await weightMetrics({ pool, sae: sae.sae }),
      run: { model, dataset: evaluated.dataset, contextSize: evaluated.contextSize, batchContexts: 64 },
      sae: { name: sae.name, config: sae.sae.config },
    })
    const several = evaluated.saes.length > 1
    const path = several ? file.replace(/(\.json)?$/, `.${sae.name.replaceAll('/', '_')}.json`) : file
    writeFileAtomic(path, `${JSON.stringify(result, null, 2)}\n`)
    paths.push(path)
  }
  return paths
}

/** A metric's value for a person. */
export function metricText({ unit }: Metric, value: unknown): string {
  if (value === null || value === undefined) return '–'
  if (typeof value !== 'number') return Array.isArray(value) ? value.join(' ') : String(value)
  return unit === 'share' ? percent(value) : figure(value, 4)
}

/** What the table of one or several SAEs shows, in the order of the metric table. */
export async function scalarMetrics(): Promise<[string, Metric][]> {
  const { metricTable } = await import('@mistudio/evaluation')
  const lists = ['explained_variance_by_dimension', 'l0_histogram', 'density_histogram']
  return Object.entries(metricTable as Record<string, Metric>).filter(
    ([name, { where }]) => where.includes('evaluation') && !lists.includes(name),
  )
}

export const measuredOn = (e: EvaluatedSae): string =>
  `${e.dataset}, split ${e.split}: ${count(e.tokens)} tokens, ${count(e.ce_tokens)} for CE, ${count(e.kl_tokens)} for KL`

export const folderName = (path: string): string => basename(path)

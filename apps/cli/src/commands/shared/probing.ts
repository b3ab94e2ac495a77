// Probing and absorption for `sae evaluate`: options, the tasks, and their tables.
import type { ProbedSae } from '@mistudio/evaluation'
import type { JobContext } from '../../frame/command.ts'
import type { OptionTable, Values } from '../../frame/option_table.ts'
import { count, figure, pairs, percent, table } from '../../frame/output.ts'
import type { EvaluationSpec, OpenedEvaluation } from './evaluation.ts'
import { shared } from './options.ts'

export const probingOptions = {
  probing: {
    kind: 'flag',
    help: 'k-sparse probes: the first letter of the next word and, of several datasets, which one a text is from',
  },
  probe: {
    kind: 'paths',
    value: 'FILE.jsonl',
    help: 'k-sparse probes on texts with labels, an object with text and label a line',
  },
  absorption: { kind: 'flag', help: 'feature absorption on the first-letter task (single-hook SAEs)' },
  'absorption-words': {
    kind: 'integer',
    value: 'N',
    min: 100,
    default: 2000,
    help: 'words of that task, at most',
  },
  seed: shared.seed,
} as const satisfies OptionTable

export type ProbingSpec = {
  probing: boolean
  probe: string[]
  absorption: boolean
  words: number
  seed: number
}

export const probingSpec = (values: Values<typeof probingOptions>): ProbingSpec => ({
  probing: values.probing,
  probe: values.probe ?? [],
  absorption: values.absorption,
  words: values['absorption-words'],
  seed: values.seed,
})

/** @returns one for each SAE, or undefined where nothing was asked for */
export async function probeFolders(options: {
  spec: EvaluationSpec & ProbingSpec
  context: JobContext
  opened: OpenedEvaluation
}): Promise<ProbedSae[] | undefined> {
  const { spec, context, opened } = options
  if (!spec.probing && !spec.absorption && spec.probe.length === 0) return undefined
  const { pool, model, result, datasets } = opened
  const { openTokenizer } = await import('@mistudio/tokenizer')
  const { datasetTask, fileTask, firstLetterPrompts, nextLetterTask, probeSaes } = await import(
    '@mistudio/evaluation'
  )
  const tokenizer = openTokenizer({ dir: spec.model })
  const { contextSize } = result
  const { seed } = spec
  const shipped = [
    ...(datasets.length > 1 ? [datasetTask({ datasets, contextSize, seed })] : []),
    nextLetterTask({ datasets, tokenizer, contextSize, seed }),
  ]
  const given = spec.probe.map(file => fileTask({ file, tokenizer, contextSize }))
  const mostWords = spec.words
  return probeSaes({
    pool,
    model,
    contextSize,
    saes: result.saes.map(({ sae }) => sae.sae),
    tasks: [...(spec.probing ? shipped : []), ...given],
    words: spec.absorption ? firstLetterPrompts({ tokenizer, contextSize, mostWords, seed }) : undefined,
    seed,
    stopped: context.signal.stopped,
    onProgress: (done, total) => context.progress({ stage: 'probing', done, total, unit: 'tasks' }),
  })
}

/** Tables of an SAE's probes and of its absorption, where they were asked for. */
export function probedText({
  name,
  probing = [],
  absorption,
}: { name: string } & Partial<ProbedSae>): string[] {
  const parts: string[] = []
  if (probing.length > 0) {
    parts.push(
      `Probes of ${name}: accuracy on held-out documents, chance is 50 %`,
      table({
        head: ['task', 'classes', 'activation', 'its best 1', '2', '5', 'latents', 'best 1', '2', '5'],
        rows: probing.map(p => [
          p.task,
          String(p.per_class.length),
          ...[
            p.llm_test_accuracy,
            p.llm_top_1_test_accuracy,
            p.llm_top_2_test_accuracy,
            p.llm_top_5_test_accuracy,
            p.sae_test_accuracy,
            p.sae_top_1_test_accuracy,
            p.sae_top_2_test_accuracy,
            p.sae_top_5_test_accuracy,
          ].map(percent),
        ]),
      }),
    )
  }
  if (absorption) {
    parts.push(
      pairs([
        [
          `Absorption of ${name}`,
          `${absorption.letters} letters, ${count(absorption.test_words)} held-out words`,
        ],
        ['absorption fraction', figure(absorption.mean_absorption_fraction_score)],
        ['full absorption', figure(absorption.mean_full_absorption_score)],
        ['latents a letter', figure(absorption.mean_num_split_features)],
      ]),
    )
  }
  return parts
}

// k-sparse probing (Gurnee et al. 2023, arXiv 2305.01610; SAEBench's sparse_probing): how well a class can be predicted from k
// latents alone, compared with k coordinates of the activation and all of it. Every probe is scored on documents that it
// was not fitted on.
import { randomStream } from '@mistudio/tensor'
import { denseRows, fitLogistic, type Probe, type SparseRows, scoreOf } from './logistic.ts'

/** One thing to classify: a text, a context or a token. */
export type ProbeExample = {
  label: string
  /** Examples of one document are on the same side of the split. */
  document: string
  /** Mean activation over its tokens [d_in]. */
  x: Float64Array
  /** Mean activation of each latent that fires. */
  index: Int32Array
  value: Float64Array
}

const probeKs = [1, 2, 5] as const

/** Accuracies on held-out examples; chance is 0.5, since both classes have equal size. SAEBench's names. */
export type ProbingReport = {
  task: string
  classes: string[]
  train_examples: number
  test_examples: number
  llm_test_accuracy: number | null
  llm_top_1_test_accuracy: number | null
  llm_top_2_test_accuracy: number | null
  llm_top_5_test_accuracy: number | null
  sae_test_accuracy: number | null
  sae_top_1_test_accuracy: number | null
  sae_top_2_test_accuracy: number | null
  sae_top_5_test_accuracy: number | null
  per_class: {
    label: string
    train_examples: number
    test_examples: number
    /** Chosen for k = 5, strongest first. */
    latents: number[]
    accuracies: Record<string, number>
  }[]
}

/** A class needs this many examples on each side. */
const leastExamples = 8
const testShare = 0.25

/** One-vs-rest for every class: as many negatives as positives, evenly from the other classes. */
export function probe(options: {
  task: string
  examples: readonly ProbeExample[]
  dSae: number
  seed: number
}): ProbingReport {
  const { task, examples, dSae, seed } = options
  const { train, test } = splitByDocument(examples, seed)
  const labels = [...new Set(examples.map(({ label }) => label))].sort()
  const of = (side: readonly ProbeExample[], label: string) => side.filter(one => one.label === label)
  const usable = labels.filter(label =>
    [train, test].every(
      side =>
        of(side, label).length >= leastExamples && side.length - of(side, label).length >= leastExamples,
    ),
  )
  const perClass = usable.map(label =>
    probeClass({ label, train: balance(train, label, seed), test: balance(test, label, seed), dSae }),
  )
  const mean = (name: string) =>
    perClass.length === 0
      ? null
      : perClass.reduce((sum, { accuracies }) => sum + accuracies[name], 0) / perClass.length
  return {
    task,
    classes: labels,
    train_examples: train.length,
    test_examples: test.length,
    llm_test_accuracy: mean('llm'),
    llm_top_1_test_accuracy: mean('llm_top_1'),
    llm_top_2_test_accuracy: mean('llm_top_2'),
    llm_top_5_test_accuracy: mean('llm_top_5'),
    sae_test_accuracy: mean('sae'),
    sae_top_1_test_accuracy: mean('sae_top_1'),
    sae_top_2_test_accuracy: mean('sae_top_2'),
    sae_top_5_test_accuracy: mean('sae_top_5'),
    per_class: perClass,
  }
}

/** Whole documents on one side or the other, about a quarter for testing; a function of the seed. */
export function splitByDocument(
  examples: readonly ProbeExample[],
  seed: number,
): { train: ProbeExample[]; test: ProbeExample[] } {
  const documents = [...new Set(examples.map(({ document }) => document))].sort()
  const held = new Set(
    documents.filter(document => randomStream({ seed, purpose: `probe ${document}` })() < testShare),
  )
  return {
    train: examples.filter(({ document }) => !held.has(document)),
    test: examples.filter(({ document }) => held.has(document)),
  }
}

type Labelled = { example: ProbeExample; positive: number }

function balance(side: readonly ProbeExample[], label: string, seed: number): Labelled[] {
  const draw = randomStream({ seed, purpose: `negatives ${label}` })
  const shuffled = (list: readonly ProbeExample[]) =>
    list
      .map(example => ({ example, at: draw() }))
      .sort((a, b) => a.at - b.at)
      .map(({ example }) => example)
  const groups = new Map<string, ProbeExample[]>()
  for (const example of shuffled(side.filter(one => one.label !== label))) {
    groups.set(example.label, [...(groups.get(example.label) ?? []), example])
  }
  // Cycles through the other classes, so that none dominates.
  const negatives: ProbeExample[] = []
  const others = [...groups.entries()].sort(([a], [b]) => a.localeCompare(b)).map(([, list]) => list)
  for (let i = 0; others.some(list => i < list.length); i++) {
    for (const list of others) if (i < list.length) negatives.push(list[i])
  }
  const positives = shuffled(side.filter(one => one.label === label))
  const count = Math.min(positives.length, negatives.length)
  return [
    ...positives.slice(0, count).map(example => ({ example, positive: 1 })),
    ...negatives.slice(0, count).map(example => ({ example, positive: 0 })),
  ]
}

function probeClass(options: {
  label: string
  train: readonly Labelled[]
  test: readonly Labelled[]
  dSae: number
}): ProbingReport['per_class'][number] {
  const { label, train, test, dSae } = options
  const dense = (side: readonly Labelled[]) =>
    denseRows(Float64Array.from(side.flatMap(({ example }) => [...example.x])), side[0].example.x.length)
  const latents = (side: readonly Labelled[]): SparseRows => ({
    width: dSae,
    rows: side.map(({ example }) => example),
  })
  const accuracies: Record<string, number> = {}
  const chosen: Record<string, number[]> = {}
  for (const [name, rowsOf] of [
    ['llm', dense],
    ['sae', latents],
  ] as const) {
    const [own, held] = [rowsOf(train), rowsOf(test)]
    const order = byMeanDifference(own, train)
    accuracies[name] = judge({ own, held, train, test })
    for (const k of probeKs) {
      const columns = order.slice(0, k)
      accuracies[`${name}_top_${k}`] = judge({
        own: keep(own, columns),
        held: keep(held, columns),
        train,
        test,
      })
    }
    chosen[name] = order.slice(0, Math.max(...probeKs))
  }
  return {
    label,
    train_examples: train.length,
    test_examples: test.length,
    latents: chosen.sae,
    accuracies,
  }
}

/** Columns by |mean over positives − mean over negatives| of the training side, largest first. */
function byMeanDifference({ rows, width }: SparseRows, labelled: readonly Labelled[]): number[] {
  const counts = [0, 0]
  for (const { positive } of labelled) counts[positive]++
  const difference = new Float64Array(width)
  rows.forEach(({ index, value }, r) => {
    const { positive } = labelled[r]
    const share = (positive === 1 ? 1 : -1) / counts[positive]
    for (let i = 0; i < index.length; i++) difference[index[i]] += share * value[i]
  })
  return [...difference.keys()].sort((a, b) => Math.abs(difference[b]) - Math.abs(difference[a]) || a - b)
}

/** Only the given columns, renumbered. */
function keep({ rows }: SparseRows, columns: readonly number[]): SparseRows {
  const at = new Map(columns.map((column, i) => [column, i]))
  return {
    width: columns.length,
    rows: rows.map(({ index, value }) => {
      const found = Array.from(index, (column, i) => [at.get(column), value[i]] as const).filter(
        (pair): pair is readonly [number, number] => pair[0] !== undefined,
      )
      return { index: found.map(([column]) => column), value: found.map(([, v]) => v) }
    }),
  }
}

function judge(options: {
  own: SparseRows
  held: SparseRows
  train: readonly Labelled[]
  test: readonly Labelled[]
}): number {
  const { own, held, train, test } = options
  const labels = Uint8Array.from(train, ({ positive }) => positive)
  const fitted: Probe = fitLogistic({ data: own, labels })
  const right = held.rows.filter((row, r) => scoreOf(fitted, row) > 0 === (test[r].positive === 1)).length
  return right / held.rows.length
}

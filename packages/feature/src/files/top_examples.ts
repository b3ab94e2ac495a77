// The top examples of all features in one pass over examples.parquet, for work that needs them all: a query per feature
// would read each row group many times.
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import type { Duck } from './duck.ts'
import type { Example } from './examples.ts'

/** A top example without its origin in the text. */
export type TopExample = Pick<Example, (typeof columns)[number]>

export type FeatureExamples = {
  feature: number
  /** Strongest first. */
  examples: TopExample[]
}

const columns = [
  'feature',
  'rank',
  'peak_activation',
  'position',
  'window_start',
  'token_texts',
  'activations',
] as const

/**
 * The file is sorted by feature and rank, so a feature is complete when the next one begins.
 * @param options.duck has the view `examples` of the extraction in `dir`
 */
export async function* readTopExamples(options: {
  duck: Duck
  dir: string
}): AsyncGenerator<FeatureExamples> {
  const { duck, dir } = options
  const connection = await duck.connect()
  try {
    const answer = await connection.stream(`SELECT ${columns.join(', ')} FROM examples WHERE kind = 'top'`)
    let current: FeatureExamples | undefined
    for await (const rows of answer.yieldRowObjectJs()) {
      for (const example of rows as TopExample[]) {
        const { feature, rank } = example
        if (feature === current?.feature && rank === current.examples.length) {
          current.examples.push(example)
          continue
        }
        if (rank !== 0 || feature <= (current?.feature ?? -1)) throw unsorted(dir, example)
        if (current !== undefined) yield current
        current = { feature, examples: [example] }
      }
    }
    if (current !== undefined) yield current
  } finally {
    connection.closeSync()
  }
}

const unsorted = (dir: string, { feature, rank }: TopExample) =>
  new InputError({
    message: 'the examples of this extraction are not in order',
    file: join(dir, 'examples.parquet'),
    field: 'feature, rank',
    found: `${feature}, ${rank}`,
    expected: 'features ascending, ranks from 0 without a gap',
  })

// examples.parquet: every kept example of every feature with its text, sorted by feature, so that one feature is
// read in milliseconds. Text is stored next to the ids, so a reader needs no tokenizer.
import { setImmediate as turn } from 'node:timers/promises'
import { type DuckDBValue, listValue } from '@duckdb/node-api'
import type { FeatureExample } from '@mistudio/contract'
import type { CollectedExample } from '../collect/collector.ts'
import { type ParquetColumn, storedText, writeParquet } from './duck.ts'

/** An example as stored and read: the API's fields, and those only in the file. */
export type Example = Pick<
  FeatureExample,
  | 'kind'
  | 'rank'
  | 'peak_activation'
  | 'document'
  | 'source_row'
  | 'context'
  | 'position'
  | 'token_texts'
  | 'activations'
> & {
  feature: number
  /** Bin of the peak activation in `histogram` and `peak_histogram` of features.parquet. */
  bin: number
  store: string
  source_file: string
  /** Index of the first token of the window in the context: the peak is token `position − window_start`. */
  window_start: number
  tokens: number[]
}

export const exampleColumns: readonly ParquetColumn[] = [
  { name: 'feature', type: 'INTEGER' },
  { name: 'kind', type: 'VARCHAR' },
  { name: 'rank', type: 'INTEGER' },
  { name: 'bin', type: 'INTEGER' },
  { name: 'peak_activation', type: 'FLOAT' },
  { name: 'store', type: 'VARCHAR' },
  { name: 'document', type: 'UINTEGER' },
  { name: 'source_file', type: 'VARCHAR' },
  { name: 'source_row', type: 'UINTEGER' },
  { name: 'context', type: 'INTEGER' },
  { name: 'position', type: 'INTEGER' },
  { name: 'window_start', type: 'INTEGER' },
  { name: 'tokens', type: 'INTEGER[]' },
  { name: 'token_texts', type: 'dictionary[]' },
  { name: 'activations', type: 'FLOAT[]' },
]

/** Windows between turns for timers. */
const windowsPerTurn = 4096

/** Where a context is. */
export type ExampleOrigin = {
  store: string
  context: number
  document: number
  sourceFile: string
  sourceRow: number
}

/** An example with all its stored fields. */
export type PlacedExample = { example: CollectedExample; origin: ExampleOrigin; texts: string[] }

/**
 * Writes the examples of all features.
 * @param options.examplesOf called once per feature, in order
 * @param options.windows tokens of every window that an example may have, for the dictionary of texts
 * @param options.originOf the origin of an example's peak
 * @param options.onFeature called with what was written for a feature
 * @returns examples of each kind
 */
export async function writeExamples(options: {
  path: string
  features: number
  examplesOf: (feature: number) => readonly CollectedExample[]
  windows: Iterable<Int32Array>
  originOf: (example: CollectedExample) => ExampleOrigin
  texts: TokenTexts
  onFeature?: (feature: number, examples: readonly PlacedExample[]) => void
  spillFolder?: string
}): Promise<{ top: number; quantile: number }> {
  const { path, features, examplesOf, windows, originOf, texts, onFeature, spillFolder } = options
  const counts = { top: 0, quantile: 0 }
  const known = new Set<string>()
  let windowCount = 0
  for (const tokens of windows) {
    if (++windowCount % windowsPerTurn === 0) await turn()
    texts.collect(tokens, known)
  }
  function* rows(): Generator<DuckDBValue[]> {
    for (let feature = 0; feature < features; feature++) {
      const placed = examplesOf(feature).map(example => ({
        example,
        origin: originOf(example),
        texts: texts.of(example.window.tokens),
      }))
      onFeature?.(feature, placed)
      for (const one of placed) {
        counts[one.example.kind]++
        yield rowOf(one)
      }
    }
  }
  await writeParquet({
    path,
    columns: exampleColumns,
    // 'top' before 'quantile'.
    orderBy: ['feature', 'kind DESC', 'rank'],
    rows: rows(),
    dictionary: [...known],
    spillFolder,
  })
  return counts
}

/** In the order of `exampleColumns`. */
function rowOf({ example, origin, texts }: PlacedExample): DuckDBValue[] {
  const { feature, kind, rank, bin, activation, position, window } = example
  return [
    feature,
    kind,
    rank,
    bin,
    activation,
    storedText(origin.store),
    origin.document,
    storedText(origin.sourceFile),
    origin.sourceRow,
    origin.context,
    position,
    window.start,
    listValue(Array.from(window.tokens)),
    listValue(texts),
    listValue(Array.from(window.activations)),
  ]
}

/** The part of a tokenizer that is needed here (packages/tokenizer, openTokenizer). */
export type PieceTokenizer = {
  /** One more than the highest token id. */
  vocabSize: number
  tokenText(id: number): string
  pieces(ids: ArrayLike<number>): { text: string; from: number; to: number }[]
}

/** Texts of tokens as examples store them. */
export type TokenTexts = {
  /** One token alone; an id without a token (models pad their vocabulary) becomes `<token 160>`. */
  one(token: number): string
  /**
   * One text per token: its own if it is whole; if tokens split a character, the joined piece's
   * text at its first token and '' at the others.
   */
  of(tokens: Int32Array): string[]
  /** Adds every text that `of` gives for these tokens. */
  collect(tokens: Int32Array, into: Set<string>): void
}

const replacement = '\ufffd'

/** Looks each token up once; only windows with split characters go to the tokenizer again. */
export function tokenTexts(options: { tokenizer: PieceTokenizer }): TokenTexts {
  const { tokenizer } = options
  const known: (string | undefined)[] = []
  const split: boolean[] = []
  const textOf = (id: number): string => (known[id] ??= storedText(read(id)))
  const read = (id: number) => (id < tokenizer.vocabSize ? tokenizer.tokenText(id) : `<token ${id}>`)
  const isSplit = (id: number): boolean => (split[id] ??= textOf(id).includes(replacement))

  function of(tokens: Int32Array): string[] {
    if (tokens.some(isSplit)) {
      const joined = new Array<string>(tokens.length).fill('')
      for (const { text, from } of tokenizer.pieces(Array.from(tokens))) joined[from] = storedText(text)
      return joined
    }
    return Array.from(tokens, textOf)
  }

  return {
    one: textOf,
    of,
    collect(tokens, into) {
      if (tokens.some(isSplit)) {
        for (const text of of(tokens)) into.add(text)
      } else for (const id of tokens) into.add(textOf(id))
    },
  }
}

// examples.parquet: every kept example of every feature with its text, sorted by feature, so that one feature is
// read in milliseconds. Text is stored beside the ids: a reader needs no tokenizer.
import { setImmediate as turn } from 'node:timers/promises'
import { type DuckDBValue, listValue } from '@duckdb/node-api'
import type { CollectedExample } from './collector.ts'
import { type ParquetColumn, storedText, writeParquet } from './duck.ts'

/** An example as it is stored and read; wire names. */
export type Example = {
  feature: number
  kind: 'top' | 'quantile'
  /** From 0, among the feature's examples of its kind; the strongest first. */
  rank: number
  /** Bin of the peak activation in `histogram` and `peak_histogram` of features.parquet. */
  bin: number
  peak_activation: number
  store: string
  document: number
  source_file: string
  source_row: number
  /** Index of the context in the store's split, and of the peak token in the context. */
  context: number
  position: number
  /** Index of the first token of the window in the context: the peak is token `position − window_start`. */
  window_start: number
  tokens: number[]
  /** One per token; where tokens split a character, its text stands at the first and the others are ''. */
  token_texts: string[]
  activations: number[]
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

/** Timers get their turn after so many features. */
const featuresPerTurn = 128

/** Where a context lies. */
export type ExampleOrigin = {
  store: string
  context: number
  document: number
  sourceFile: string
  sourceRow: number
}

/** Texts of a window's tokens, one per token. */
export type TokenTexts = (tokens: Int32Array) => string[]

/**
 * Writes the examples of all features.
 * @param options.examplesOf called twice for each feature, in order
 * @param options.originOf the place of an example's peak
 * @returns examples of each kind
 */
export async function writeExamples(options: {
  path: string
  features: number
  examplesOf: (feature: number) => readonly CollectedExample[]
  originOf: (example: CollectedExample) => ExampleOrigin
  textsOf: TokenTexts
  spillFolder?: string
}): Promise<{ top: number; quantile: number }> {
  const { path, features, examplesOf, originOf, textsOf, spillFolder } = options
  const counts = { top: 0, quantile: 0 }
  const known = new Set<string>()
  for (let feature = 0; feature < features; feature++) {
    if (feature % featuresPerTurn === 0) await turn()
    for (const { kind, window } of examplesOf(feature)) {
      counts[kind]++
      for (const text of textsOf(window.tokens)) known.add(text)
    }
  }
  function* rows(): Generator<DuckDBValue[]> {
    for (let feature = 0; feature < features; feature++) {
      for (const example of examplesOf(feature)) yield rowOf(example, originOf(example), textsOf)
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
function rowOf(example: CollectedExample, origin: ExampleOrigin, textsOf: TokenTexts): DuckDBValue[] {
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
    listValue(textsOf(window.tokens)),
    listValue(Array.from(window.activations)),
  ]
}

/** What a tokenizer must offer here (packages/model, openTokenizer). */
export type PieceTokenizer = {
  tokenText(id: number): string
  pieces(ids: ArrayLike<number>): { text: string; from: number; to: number }[]
}

const replacement = '\ufffd'

/**
 * Texts of tokens, each token's own where it is whole; where tokens split a character, the joined piece's text
 * at its first token. Whole tokens are looked up once each.
 */
export function tokenTexts(options: { tokenizer: PieceTokenizer }): TokenTexts {
  const { tokenizer } = options
  const known = new Map<number, string>()
  const textOf = (id: number) => {
    let text = known.get(id)
    if (text === undefined) {
      text = storedText(tokenizer.tokenText(id))
      known.set(id, text)
    }
    return text
  }
  return tokens => {
    const texts = Array.from(tokens, textOf)
    if (!texts.some(text => text.includes(replacement))) return texts
    const joined = new Array<string>(tokens.length).fill('')
    for (const { text, from } of tokenizer.pieces(Array.from(tokens))) joined[from] = storedText(text)
    return joined
  }
}

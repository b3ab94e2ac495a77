// features.parquet: one row per feature with its statistics, logits and the score that lists are sorted by.
import { type DuckDBValue, listValue } from '@duckdb/node-api'
import type { FeatureItem } from '@mistudio/contract'
import type { FeatureStatistics } from '../collect/statistics.ts'
import type { FeatureLogits } from '../logits.ts'
import { type ParquetColumn, writeParquet } from './duck.ts'

/** A feature as stored and read: the API's fields, and those only in the file. */
export type Feature = Pick<
  FeatureItem,
  | 'feature'
  | 'fired'
  | 'density'
  | 'max'
  | 'mean'
  | 'readability'
  | 'top_examples'
  | 'peak_tokens'
  | 'top_tokens'
> & {
  /** Firing tokens per bin: underflow, [2^e, 2^(e+1)) for the exponents in extraction.json, overflow. */
  histogram: number[]
  /** Contexts by the bin of their peak: what the quantile examples were drawn from. */
  peak_histogram: number[]
  quantile_examples: number
  /** Tokens of the largest direct logit effects, largest first; null where the hook is not in the residual stream. */
  top_token_ids: number[] | null
  top_logits: number[] | null
  /** The smallest ones, smallest first. */
  bottom_token_ids: number[] | null
  bottom_tokens: string[] | null
  bottom_logits: number[] | null
}

export const featureColumns: readonly ParquetColumn[] = [
  { name: 'feature', type: 'INTEGER' },
  { name: 'fired', type: 'UINTEGER' },
  { name: 'density', type: 'DOUBLE' },
  { name: 'max', type: 'FLOAT' },
  { name: 'mean', type: 'DOUBLE' },
  { name: 'histogram', type: 'UINTEGER[]' },
  { name: 'peak_histogram', type: 'UINTEGER[]' },
  { name: 'top_examples', type: 'INTEGER' },
  { name: 'quantile_examples', type: 'INTEGER' },
  { name: 'readability', type: 'DOUBLE' },
  { name: 'peak_tokens', type: 'VARCHAR[]' },
  { name: 'top_token_ids', type: 'INTEGER[]' },
  { name: 'top_tokens', type: 'dictionary[]' },
  { name: 'top_logits', type: 'FLOAT[]' },
  { name: 'bottom_token_ids', type: 'INTEGER[]' },
  { name: 'bottom_tokens', type: 'dictionary[]' },
  { name: 'bottom_logits', type: 'FLOAT[]' },
]

/** What extraction found about a feature besides statistics and logits. */
export type FeatureSummary = {
  statistics: FeatureStatistics
  peakHistogram: number[]
  topExamples: number
  quantileExamples: number
  readability: number
  peakTokens: string[]
}

export async function writeFeatures(options: {
  path: string
  features: number
  summaryOf: (feature: number) => FeatureSummary
  /** Undefined where the SAE's hook is not in the residual stream. */
  logits?: FeatureLogits
  /** A token as text. */
  textOf: (token: number) => string
  spillFolder?: string
}): Promise<void> {
  const { path, features, summaryOf, logits, textOf, spillFolder } = options
  const texts = new Set<string>()
  if (logits !== undefined) {
    for (const tokens of [logits.topTokens, logits.bottomTokens]) {
      for (const token of tokens) texts.add(textOf(token))
    }
  }
  function* rows(): Generator<DuckDBValue[]> {
    for (let feature = 0; feature < features; feature++) {
      const { statistics, ...summary } = summaryOf(feature)
      yield [
        feature,
        statistics.fired,
        statistics.density,
        statistics.max,
        statistics.mean,
        listValue(statistics.histogram),
        listValue(summary.peakHistogram),
        summary.topExamples,
        summary.quantileExamples,
        summary.readability,
        listValue(summary.peakTokens),
        ...logitCells(logits, feature, textOf),
      ]
    }
  }
  await writeParquet({
    path,
    columns: featureColumns,
    orderBy: ['feature'],
    rows: rows(),
    dictionary: [...texts],
    spillFolder,
  })
}

function logitCells(
  logits: FeatureLogits | undefined,
  feature: number,
  textOf: (token: number) => string,
): DuckDBValue[] {
  if (logits === undefined) return [null, null, null, null, null, null]
  const { count, topTokens, topLogits, bottomTokens, bottomLogits } = logits
  const cells = (tokens: Int32Array, values: Float32Array) => {
    const ids = Array.from(tokens.subarray(feature * count, (feature + 1) * count))
    const numbers = Array.from(values.subarray(feature * count, (feature + 1) * count))
    return [listValue(ids), listValue(ids.map(textOf)), listValue(numbers)]
  }
  return [...cells(topTokens, topLogits), ...cells(bottomTokens, bottomLogits)]
}

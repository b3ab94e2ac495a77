// What every metric is called, what it means and where the definition comes from: the single description behind the command
// line, the studio's cards and docs/metrics.md. The entries are in metric_tables/, the formulas in metrics.ts.
import type { Metric } from './metric.ts'
import { modelMetrics } from './metric_tables/model.ts'
import { qualityMetrics } from './metric_tables/quality.ts'
import { lossTerms, runMetrics } from './metric_tables/run.ts'

export { type Metric, type MetricCount, metricCounts } from './metric.ts'

/** By wire name, in display order. */
export const metricTable = {
  ...lossTerms,
  ...qualityMetrics,
  ...modelMetrics,
  ...runMetrics,
} as const satisfies Record<string, Metric>

export type MetricGroup = 'loss' | 'quality' | 'model' | 'run'

/** Terms of the loss, reconstruction, effect on the model, progress of the run. */
export function metricGroup(name: string): MetricGroup {
  if (Object.hasOwn(lossTerms, name)) return 'loss'
  if (Object.hasOwn(qualityMetrics, name)) return 'quality'
  return Object.hasOwn(modelMetrics, name) ? 'model' : 'run'
}

export type MetricName = keyof typeof metricTable
/** The entry of a wire name, or undefined; widened, for code that treats all entries alike. */
export const metricOf = (name: string): Metric | undefined =>
  Object.hasOwn(metricTable, name) ? metricTable[name as MetricName] : undefined

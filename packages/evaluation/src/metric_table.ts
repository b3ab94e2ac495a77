// What every metric is called, what it means and where the definition comes from: the one description that the command
// line, the studio's cards and docs/metrics.md speak from. The entries are in metric_tables/, the formulas in metrics.ts.
import { modelMetrics } from './metric_tables/model.ts'
import { qualityMetrics } from './metric_tables/quality.ts'
import { lossTerms, runMetrics } from './metric_tables/run.ts'

export type Metric = {
  /** For a person, e.g. `L0`. */
  label: string
  /** e.g. `nats / token`; empty for a pure number. */
  unit: string
  definition: string
  /** `one`: the nearer to 1 the better; `none`: it describes, it does not judge. */
  better: 'lower' | 'higher' | 'one' | 'none'
  /** The paper or tool whose definition this is; empty for our own. */
  source: string
  /** The field that says over how many tokens it was counted; null where tokens have no part in it. */
  counted: MetricCount | null
  where: readonly ('training' | 'evaluation')[]
}

/** Fields that count tokens, and what they count. */
export const metricCounts = {
  step_tokens: 'Tokens of the steps since the last event.',
  dead_after_tokens: 'The window without a firing after which a latent is dead in training.',
  tokens: 'Unmasked tokens of the evaluation.',
  masked_tokens: 'Masked positions of the evaluation: neither scored nor replaced.',
  ce_masked_tokens: 'Masked positions among the contexts of the cross-entropies and divergences.',
  ce_tokens: 'Predicted tokens: unmasked positions that have a next token in their context.',
  kl_tokens: 'Unmasked positions, the last of a context among them.',
} as const
export type MetricCount = keyof typeof metricCounts

/** By wire name, in the order in which they are shown. */
export const metricTable = {
  ...lossTerms,
  ...qualityMetrics,
  ...modelMetrics,
  ...runMetrics,
} as const satisfies Record<string, Metric>

export type MetricGroup = 'loss' | 'quality' | 'model' | 'run'

/** Terms of the loss, how well it reconstructs, what it does to the model, how the run goes. */
export function metricGroup(name: string): MetricGroup {
  if (Object.hasOwn(lossTerms, name)) return 'loss'
  if (Object.hasOwn(qualityMetrics, name)) return 'quality'
  return Object.hasOwn(modelMetrics, name) ? 'model' : 'run'
}

export type MetricName = keyof typeof metricTable
/** The entry of a wire name, or undefined; widened, for code that reads entries alike. */
export const metricOf = (name: string): Metric | undefined =>
  Object.hasOwn(metricTable, name) ? metricTable[name as MetricName] : undefined

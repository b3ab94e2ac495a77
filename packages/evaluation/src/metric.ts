// What describes a metric besides its value: its name, unit, definition and source, and what was counted for it.

export type Metric = {
  /** Shown to users, e.g. `L0`. */
  label: string
  /** e.g. `nats / token`; empty for a pure number. */
  unit: string
  definition: string
  /** `one`: the closer to 1 the better; `none`: neither direction is better. */
  better: 'lower' | 'higher' | 'one' | 'none'
  /** The paper or tool whose definition this is; empty for our own. */
  source: string
  /** The field with the number of tokens it was counted over; null if it does not depend on tokens. */
  counted: MetricCount | null
  where: readonly ('training' | 'evaluation')[]
}

/** Fields that count tokens, and what they count. */
export const metricCounts = {
  step_tokens: 'Tokens of the steps since the last event.',
  dead_after_tokens: 'Tokens without firing after which a latent counts as dead in training.',
  tokens: 'Unmasked tokens of the evaluation.',
  masked_tokens: 'Masked positions of the evaluation: neither scored nor replaced.',
  ce_masked_tokens: 'Masked positions among the contexts of the cross-entropies and divergences.',
  ce_tokens: 'Predicted tokens: unmasked positions that have a next token in their context.',
  kl_tokens: 'Unmasked positions, including the last of a context.',
} as const
export type MetricCount = keyof typeof metricCounts

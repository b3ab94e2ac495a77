// What is said of a metric beside its value: its name, unit, definition and source, and what was counted for it.

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

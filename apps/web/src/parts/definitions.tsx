// What the figures of a feature mean: written once, shown wherever a figure is.
export const definitions = {
  density: 'Tokens at which it fired, of all unmasked tokens read.',
  fired: 'Tokens at which its activation was above 0.',
  max: 'Its largest activation.',
  mean: 'Mean of its activations above 0.',
  readability:
    'An order for display, not a measurement of interpretability: fullness × density gate × agreement × spread × ' +
    'legibility, each 0 to 1. Fullness: top examples of those asked for. Density gate: 1 from 1e-4 to 1e-2, falling to 0 ' +
    'over a decade on either side. Agreement: top examples whose peak token is one of the two commonest. Spread: distinct ' +
    'documents of the top examples. Legibility: half, plus half the share of peak tokens with a letter or digit.',
  top_examples: 'Contexts with its strongest peaks, one for each context; equal texts count once.',
  quantile_examples:
    'Contexts drawn from every strength, two for each power of two of the peak: what it looks like where it is weak.',
  histogram: 'Tokens at which it fired, by activation; each bar is a power of two, named by its lower bound.',
  logits:
    'Direct effect on the next token: its decoder direction, times the weight of the final norm, times the unembedding. ' +
    'The scale of the norm and later layers are left out (logit lens), so signs and ratios count, not sizes.',
  nlp: 'Counted over its top examples: parts of speech of the peak words in their sentences, words and word groups around them.',
} as const

// What the figures of a feature mean: written once, shown wherever a figure is.
export const definitions = {
  density: 'Share of all unmasked tokens read on which it fired.',
  fired: 'Tokens on which its activation was above 0.',
  max: 'Its largest activation.',
  mean: 'Mean of its activations above 0.',
  readability:
    'A ranking for display, not a measure of interpretability: fullness × density gate × agreement × spread × ' +
    'legibility, each from 0 to 1. Fullness: top examples found, as a share of those requested. Density gate: 1 between ' +
    '1e-4 and 1e-2, falling to 0 over a decade on either side. Agreement: share of top examples whose peak token is one ' +
    'of the two most common. Spread: share of top examples from different documents. Legibility: half, plus half the ' +
    'share of peak tokens with a letter or digit.',
  top_examples: 'The contexts with its strongest peaks, one peak per context; identical texts count once.',
  quantile_examples:
    'Contexts of every strength, two for each power of two of the peak: what it looks like where it is weak.',
  histogram:
    'Tokens on which it fired, by activation; each bar is a power of two, labelled with its lower bound.',
  logits:
    'Its direct effect on the next token: decoder direction × weight of the final norm × unembedding. The scale of the ' +
    'norm and all later layers are ignored (logit lens), so signs and ratios are meaningful, absolute sizes are not.',
  nlp: 'Counted over its top examples: parts of speech of the peak words in their sentences, and the words and phrases around them.',
} as const

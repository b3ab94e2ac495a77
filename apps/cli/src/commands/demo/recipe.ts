// What the demo does, in one place: the choices behind every figure that it prints.

export const recipe = {
  datasets: ['scripture', 'dictionary', 'programming', 'databases'],
  hooks: [
    'blocks.2.hook_resid_post',
    'blocks.2.hook_mlp_out',
    'blocks.4.hook_resid_post',
    'blocks.4.hook_mlp_out',
  ],
  contextSize: 128,
  dSae: 4096,
  settings: { trainTokens: 1_048_576, batchSize: 1024 },
  member: { k: 32, learning_rate: 1e-3, normalisation: 'expected_average' },
  /** Held-out tokens for reconstruction and for the cross-entropies, from contexts in random order. */
  evaluation: { maxTokens: 131_072, maxCeTokens: 32_768 },
  extractionTokens: 262_144,
} as const

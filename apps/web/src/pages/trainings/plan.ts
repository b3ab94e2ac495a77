// What the start form reckons before anything runs: how many SAEs, how many steps, how much memory at least.

/** Where the contract leaves a field open, a place to begin from; a person may change all of it. */
export const suggested = {
  /** Latents for each dimension of the model. */
  expansion: 8,
  k: 32,
  trainTokens: 1_000_000,
} as const

export type Plan = { saes: number; steps: number | null; bytes: number | null }

/** @param options.dModel with dSae: width of the activations and latents of each SAE */
export function planOf(options: {
  layers: number
  hookTypes: number
  dModel: number | undefined
  dSae: unknown
  trainTokens: unknown
  batchSize: unknown
}): Plan {
  const { layers, hookTypes, dModel, dSae, trainTokens, batchSize } = options
  const saes = layers * hookTypes
  const known = (value: unknown): value is number => typeof value === 'number' && value > 0
  return {
    saes,
    steps: known(trainTokens) && known(batchSize) ? Math.ceil(trainTokens / batchSize) : null,
    bytes: known(dModel) && known(dSae) ? saes * stateBytes(dModel, dSae) : null,
  }
}

/** Two matrices and two biases in float32, with Adam's two moments of each. */
const stateBytes = (dModel: number, dSae: number) => (2 * dModel * dSae + dSae + dModel) * 4 * 3

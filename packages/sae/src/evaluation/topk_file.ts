// A TopK SAE as the SAELens reader gives it, as a finished SAE.
import type { SaeFile } from '../formats/saelens.ts'
import type { Sae } from '../sae.ts'

export function saeOfTopkFile({ shape, k, weights, metadata }: SaeFile): Sae {
  const { dIn, dSae } = shape
  const hooks = [{ hook: metadata.hookPoint, width: dIn }]
  return {
    family: 'topk',
    shape: { dIn, dSae, dOut: dIn },
    groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dIn] }],
    activation: { kind: 'topk', k },
    centred: true,
    normalisation: 'none',
    weights,
    hooks: { inputs: hooks, outputs: hooks },
  }
}

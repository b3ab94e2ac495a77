// The configuration of a TopK SAE: fields, units, defaults and where each default comes from.
import { InputError } from '@mistudio/tensor'
import type { SaeShape } from './families.ts'

export type TopKConfig = {
  /** Latents kept per token. Gao et al. 2024 (arXiv 2406.04093) use 32. */
  k: number
  /** Weight of the AuxK loss; 1/32 in Gao et al. and dictionary_learning, 1 in SAELens. 0 turns it off. */
  auxCoefficient: number
  /** Dead latents kept per token by AuxK; default d_in / 2 (Gao et al., dictionary_learning, SAELens). */
  kAux: number
  /** `variance`: AuxK error over the residual's variance (dictionary_learning); `none`: SAELens. */
  auxNormalisation: 'variance' | 'none'
  /** Whether AuxK reads activations after the ReLU (dictionary_learning) or raw pre-activations (SAELens). */
  auxRelu: boolean
  /** SAELens multiplies AuxK by min(dead / k_aux, 1); dictionary_learning does not. */
  auxScaleByDead: boolean
  /** A latent is dead once it has not fired for this many tokens. Default: smaller of 10 M and a tenth of the run. */
  deadAfterTokens: number
}

export function topkConfig(
  given: Partial<TopKConfig>,
  context: { shape: SaeShape; trainTokens: number },
): TopKConfig {
  const { dIn, dSae } = context.shape
  const config: TopKConfig = {
    k: given.k ?? 32,
    auxCoefficient: given.auxCoefficient ?? 1 / 32,
    kAux: given.kAux ?? Math.max(1, Math.floor(dIn / 2)),
    auxNormalisation: given.auxNormalisation ?? 'variance',
    auxRelu: given.auxRelu ?? true,
    auxScaleByDead: given.auxScaleByDead ?? false,
    deadAfterTokens:
      given.deadAfterTokens ?? Math.max(1, Math.min(10_000_000, Math.floor(context.trainTokens / 10))),
  }
  whole('k', config.k, 1, dSae, `d_sae = ${dSae}`)
  whole('k_aux', config.kAux, 1, Number.MAX_SAFE_INTEGER)
  whole('dead_after_tokens', config.deadAfterTokens, 1, Number.MAX_SAFE_INTEGER)
  if (!(config.auxCoefficient >= 0)) {
    throw new InputError({
      message: 'the weight of AuxK must not be negative',
      field: 'aux_coefficient',
      found: String(config.auxCoefficient),
      expected: 'a number ≥ 0',
    })
  }
  return config
}

function whole(field: string, value: number, least: number, most: number, why?: string): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const upper = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} … ${most}`
  throw new InputError({
    message: `${field} is out of range`,
    field,
    found: String(value),
    expected: `a whole number, ${upper}${why === undefined ? '' : ` (${why})`}`,
  })
}

// λ with a reason (TRN-8). The reference's `5e-4·√(16384/latents)·(0.05/L0)` belongs to its own loss (a mean over
// dimensions), so ours is derived from our loss, ‖y − x̂‖² summed over dimensions, for every normalisation.
//
// Let y vary about its mean with σ² = E‖y − ȳ‖², and let L0 latents of about equal size carry it: each then has an
// activation near a = σ/√L0 along a decoder row of norm 1. The weakest latent worth keeping has s times that.
// - L1: minimising (a − f)² + λf gives f = a − λ/2 and nothing below λ/2 (soft thresholding, Tibshirani 1996), so
//   λ = 2·s·σ/√L0.
// - L0 (and tanh, which is close to λ for any latent that fires): a latent lowers the error by a² and costs λ, so it is used
//   where a > √λ, and λ = s²·σ²/L0.
// - Lp with p falling from 1: a third of L1's, since more and more weak latents are priced out as p falls
//   (dictionary_learning_demo sweeps 0.006 to 0.025, against 0.012 to 0.06 for L1).
// s = 1/3 is between the published values: Gemma Scope's 6e-4 at E‖x‖² = 1 and L0 70 is s = 0.2, dictionary_learning's
// 0.04 there is 0.18, Anthropic's 5 of April 2024 at E‖x‖ = √d and d 1,024 is 0.6.
import type { Plan } from '../plan.ts'

const share = 1 / 3
/** The geometric middle of the 20 … 200 of warnings.ts. */
export const targetL0 = Math.round(Math.sqrt(20 * 200))
const lpFactor = 1 / 3
const least = 0.3
const most = 3

export type SparsityAdvice = {
  /** A suitable λ, rounded to two digits; null where λ has no scale of its own. */
  suggested: number | null
  /** L0 that the configured λ leads to by the same formula. */
  predictedL0: number | null
  reason: string
  /** Set when the configured λ is below 0.3 or above 3 times the suggestion. */
  warning: string | null
}

/** σ² of what is reconstructed, in the space the SAE trains in, and where it comes from. */
export type Scale = { variance: number; from: string }

/**
 * @param options.width of one hook point that is reconstructed
 * @param options.measured mean squared norm of its activations and their variance about the mean, if measured
 */
export function scaleOf(options: {
  normalisation: string
  width: number
  measured?: { meanSquare: number; variance: number; meanNorm: number }
}): Scale | null {
  const { normalisation, width, measured } = options
  // The share of the squared norm that is not the mean, which b_dec takes over.
  const centred = measured === undefined ? 1 : measured.variance / measured.meanSquare
  const known = measured === undefined ? '' : `, ${percent(centred)} of it about the mean`
  switch (normalisation) {
    case 'expected_average':
    case 'token_rms':
    case 'layer_norm':
      return { variance: width * centred, from: `E‖x‖² ≈ d = ${width} by ${normalisation}${known}` }
    case 'whiten':
      return { variance: width, from: `E‖x − x̄‖² = d = ${width} by whiten` }
    case 'unit_mean_square':
      return { variance: centred, from: `E‖x‖² = 1 by unit_mean_square${known}` }
    default:
      return measured === undefined
        ? null
        : { variance: measured.variance, from: `E‖x − x̄‖² = ${figure(measured.variance)} as measured` }
  }
}

const percent = (value: number) => `${Math.round(100 * value)} %`

/** @returns null if the plan has no penalty with a scale, because k or a target L0 sets the sparsity */
export function adviseSparsity(options: {
  plan: Pick<Plan, 'penalty'>
  scale: Scale | null
}): SparsityAdvice | null {
  const { plan, scale } = options
  const { penalty } = plan
  if (penalty === null || penalty.kind === 'target_l0') return null
  if (scale === null) {
    return {
      suggested: null,
      predictedL0: null,
      reason: 'λ depends on the scale of the activations, which normalisation none leaves unknown',
      warning: null,
    }
  }
  const { coefficient } = penalty
  const { variance } = scale
  const first = penalty.kind === 'l1' || penalty.kind === 'lp'
  const factor = 2 * share * (penalty.kind === 'lp' ? lpFactor : 1)
  const exact = first ? factor * Math.sqrt(variance / targetL0) : (share ** 2 * variance) / targetL0
  const predicted = first
    ? factor ** 2 * (variance / coefficient ** 2)
    : (share ** 2 * variance) / coefficient
  const formula = first ? (penalty.kind === 'lp' ? '⅓·2·s·σ/√L0' : '2·s·σ/√L0') : 's²·σ²/L0'
  const suggested = rounded(exact)
  const reason =
    `λ ≈ ${figure(suggested)} for L0 ≈ ${targetL0}: ${formula} with s = 1/3 (the weakest latent worth keeping has a ` +
    `third of a typical activation) and σ² = ${figure(variance)} (${scale.from})`
  const ratio = coefficient / exact
  const leads = `by ${formula} it leads to L0 near ${figure(predicted)}`
  const warning =
    ratio >= least && ratio <= most
      ? null
      : `sparsity_coefficient ${figure(coefficient)} is ${figure(ratio)} times the suggested ${figure(suggested)}; ${leads}`
  return { suggested, predictedL0: coefficient > 0 ? predicted : null, reason, warning }
}

const rounded = (value: number) => Number(value.toPrecision(2))
const figure = (value: number) => String(Number(value.toPrecision(3)))

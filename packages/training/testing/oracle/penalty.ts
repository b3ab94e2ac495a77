// The sparsity penalties of a plan in float64: their value and their derivatives.
import type { Penalty } from '../../src/plan.ts'

/** What a penalty is taken of. */
export type PenaltyGiven = {
  penalty: Penalty
  /** Multiplies the coefficient: sparsity warm-up times the factor of p-annealing. */
  factor: number
  /** Exponent of an `lp` penalty. */
  p: number
  /** f, or ReLU(π) of a gated plan, [B, d_sae]. */
  activations: Float64Array
  /** n [d_sae], already 1 where the penalty is not weighted. */
  norms: Float64Array
  /** Σ H(π − θ) over rows and latents. */
  open: number
  rows: number
}

/** λ times the mean over rows. */
export function penaltyValue(given: PenaltyGiven): number {
  const { penalty, factor, p, open, rows } = given
  const lambda = factor * penalty.coefficient
  switch (penalty.kind) {
    case 'l1':
      return (lambda * total(given, (a, n) => a * n)) / rows
    case 'lp':
      return (lambda * lpSum({ ...given, p })) / rows
    case 'tanh':
      return (lambda * total(given, (a, n) => Math.tanh(penalty.scale * a * n))) / rows
    case 'l0':
      return (lambda * open) / rows
    case 'target_l0':
      return lambda * (open / rows / penalty.target - 1) ** 2
  }
}

/** Σ f^p·n over rows and latents. */
export const lpSum = (given: { activations: Float64Array; norms: Float64Array; p: number }): number =>
  total(given, (a, n) => (a > 0 ? a ** given.p * n : a * n))

/** dL/d(activation) [B, d_sae], dL/dn [d_sae], and dL/dH, the same for every entry. */
export type PenaltyDerivatives = { activations: Float64Array; norms: Float64Array; open: number }

export function penaltyDerivatives(given: PenaltyGiven): PenaltyDerivatives {
  const { penalty, factor, p, activations, norms, open, rows } = given
  const scale = (factor * penalty.coefficient) / rows
  const none = () => ({
    activations: new Float64Array(activations.length),
    norms: new Float64Array(norms.length),
  })
  const each = (
    byActivation: (a: number, n: number) => number,
    byNorm: (a: number, n: number) => number,
  ): PenaltyDerivatives => {
    const result = none()
    activations.forEach((a, at) => {
      const i = at % norms.length
      result.activations[at] = scale * byActivation(a, norms[i])
      result.norms[i] += scale * byNorm(a, norms[i])
    })
    return { ...result, open: 0 }
  }
  switch (penalty.kind) {
    case 'l1':
      return each(
        (_, n) => n,
        a => a,
      )
    case 'lp':
      // A latent that is off stays off: ReLU's derivative there is 0.
      return each(
        (a, n) => (a > 0 ? p * a ** (p - 1) * n : 0),
        a => (a > 0 ? a ** p : 0),
      )
    case 'tanh': {
      const slope = (a: number, n: number) => penalty.scale * (1 - Math.tanh(penalty.scale * a * n) ** 2)
      return each(
        (a, n) => slope(a, n) * n,
        (a, n) => slope(a, n) * a,
      )
    }
    case 'l0':
      return { ...none(), open: scale }
    case 'target_l0':
      return { ...none(), open: (2 * scale * (open / rows / penalty.target - 1)) / penalty.target }
  }
}

function total(
  { activations, norms }: { activations: Float64Array; norms: Float64Array },
  of: (a: number, n: number) => number,
): number {
  let sum = 0
  for (let at = 0; at < activations.length; at++) sum += of(activations[at], norms[at % norms.length])
  return sum
}

/** Is the penalty weighted with the decoder's norms? */
export const isNormWeighted = (penalty: Penalty): boolean =>
  (penalty.kind === 'l1' || penalty.kind === 'lp' || penalty.kind === 'tanh') && penalty.normWeighted

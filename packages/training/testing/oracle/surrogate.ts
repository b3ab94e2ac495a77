// The surrogate loss whose true gradient is the one that the papers define: an ordinary function of the parameters
// around a base point. Selected sets, residuals, denominators, dead masks and frozen decoders stay those of the base
// point; each straight-through estimator is replaced by the integral of its kernel, per parameter. It exists for finite
// differences only and shares no derivative with gradients.ts.
import {
  auxValue,
  type Frozen,
  type Given,
  gateErrors,
  penaltyGiven,
  preActValue,
  squares,
} from './forward.ts'
import { decodeLevels, decoderNorms, encodeRows } from './linear.ts'
import { penaltyValue } from './penalty.ts'
import { activate } from './selection.ts'

/** The loss at `given.weights` with `frozen` of the base point; at the base point the loss itself. */
export function surrogateLoss(given: Given, frozen: Frozen): number {
  const { plan, weights, x, y, dynamics } = given
  const { dSae, dOut } = plan.shape
  const rows = y.length / dOut
  const z = encodeRows(plan, weights, x)
  const pre = z.map((value, at) => value + weights.bEnc[at % dSae])
  const norms = decoderNorms(plan, weights.wDec)
  const jumped = jumps(given, frozen, pre)
  const activations =
    jumped?.activations ?? activate({ selection: plan.selection, z, pre, open: frozen.open, weights })
  const levels = dynamics.levels ?? plan.levels
  const reconstructions = decodeLevels({ plan, weights, levels, activations, x })
  let loss = 0
  levels.forEach(({ weight }, l) => {
    loss += (weight * squares(reconstructions[l].map((value, at) => value - y[at]))) / rows
  })
  const penalty = penaltyGiven({ ...given, pre, activations, norms, open: jumped?.open ?? 0 })
  if (penalty !== null) loss += penaltyValue(penalty)
  loss += preActValue({ plan, weights, pre, norms, dead: frozen.dead })
  if (plan.selection.kind === 'gated')
    loss += squares(gateErrors({ plan, decoder: frozen.decoder ?? weights, pre, y })) / rows
  if (frozen.aux !== null) loss += auxValue({ plan, weights, pre, aux: frozen.aux })
  return loss
}

/**
 * JumpReLU with its estimators integrated. With rect the rectangle of width ε and (π₀, θ₀) the base point:
 *   H(π − θ)    ∂/∂θ = −rect((π−θ)/ε)/ε      → H₀ + ramp(π₀ − θ) − ramp(π₀ − θ₀),  ramp(u) = clamp(u, ±ε/2)/ε
 *   π·H(π − θ)  ∂/∂θ = −(θ/ε)·rect((π−θ)/ε)  → π·H₀ − (c(θ)² − c(θ₀)²)/(2ε),       c = clamp to π₀ ± ε/2
 * As a function of π the mask H₀ holds; where the estimators reach π too, ramp reads π in place of π₀, and π·H gains
 * θ₀·(ramp(π − θ₀) − ramp(π₀ − θ₀)).
 * @returns f [B, d_sae] and Σ H; undefined for plans without thresholds
 */
function jumps(
  { plan, weights }: Given,
  { open, pre: base, threshold: baseThreshold }: Frozen,
  pre: Float64Array,
): { activations: Float64Array; open: number } | undefined {
  const { selection, shape } = plan
  if (selection.kind !== 'jumprelu') return undefined
  const { bandwidth, steToInput } = selection
  const clamp = (value: number, from: number, to: number) => Math.min(Math.max(value, from), to)
  const ramp = (u: number) => clamp(u, -bandwidth / 2, bandwidth / 2) / bandwidth
  let count = 0
  const activations = pre.map((value, at) => {
    const i = at % shape.dSae
    const [theta, theta0, pi0] = [weights.threshold![i], baseThreshold![i], base[at]]
    const seen = (t: number) => clamp(t, pi0 - bandwidth / 2, pi0 + bandwidth / 2)
    count += open[at] + ramp(pi0 - theta) - ramp(pi0 - theta0)
    let activation = value * open[at] - (seen(theta) ** 2 - seen(theta0) ** 2) / (2 * bandwidth)
    if (steToInput) {
      const moved = ramp(value - theta0) - ramp(pi0 - theta0)
      count += moved
      activation += theta0 * moved
    }
    return activation
  })
  return { activations, open: count }
}

/**
 * How near each latent is to a kink of the surrogate, [d_sae]: the smallest distance over rows, in units of π (or of
 * gated's magnitude). Finite differences mean nothing closer than their step.
 */
export function kinkDistances(given: Given, frozen: Frozen): Float64Array {
  const { plan, weights, x } = given
  const { dSae } = plan.shape
  const { selection, penalty, preAct, auxK } = plan
  const z = encodeRows(plan, weights, x)
  const nearest = new Float64Array(dSae).fill(Number.POSITIVE_INFINITY)
  const see = (i: number, distance: number) => {
    nearest[i] = Math.min(nearest[i], Math.abs(distance))
  }
  frozen.pre.forEach((value, at) => {
    const i = at % dSae
    const theta = weights.threshold?.[i] ?? 0
    if (selection.kind === 'jumprelu') see(i, Math.abs(value - theta) - selection.bandwidth / 2)
    else if (selection.kind === 'gated') {
      see(i, value)
      see(i, z[at] * Math.exp(weights.rMag![i]) + weights.bMag![i])
    } else if (frozen.open[at] === 1) see(i, value)
    if (preAct !== null && (preAct.on === 'all' || frozen.dead?.[i] === 1)) see(i, value - theta)
    // f^p bends without end towards 0: the third derivative must not matter at the step of a difference.
    if (penalty?.kind === 'lp' && value > 0 && value < 0.02) see(i, 0)
  })
  frozen.aux?.selected.forEach((latents, r) => {
    for (const i of latents) if (auxK?.relu) see(i, frozen.pre[r * dSae + i])
  })
  return nearest
}

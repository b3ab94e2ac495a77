// Analytic gradients of a plan's surrogate loss for every parameter, in float64. The surrogate (surrogate.ts) is what
// the papers differentiate: selected sets, AuxK's residual and denominator, dead masks and frozen decoders are
// constants, and the jumps of JumpReLU have the rectangle's straight-through estimator.
import type { Plan } from '../../src/plan.ts'
import { auxActivation, auxErrors, type Given, type OracleForward, oracleForward } from './forward.ts'
import { addNormGradients } from './linear.ts'
import { isNormWeighted, penaltyDerivatives } from './penalty.ts'
import { type LatentRow, latentRows, type OracleWeights, zerosLike } from './weights.ts'

/** Derivatives that are gathered on the way back. */
type Backward = {
  given: Given
  forward: OracleForward
  rows: LatentRow[]
  batch: number
  gradient: OracleWeights
  /** dL/df and dL/dπ [B, d_sae]; `z` what a gated magnitude adds to dL/dz beside dL/dπ; `norms` dL/dn [d_sae]. */
  activations: Float64Array
  pre: Float64Array
  z: Float64Array
  norms: Float64Array
}

/**
 * Gradients before the unit-norm projection and the clip, laid out as the weights.
 * `forward`: the pass at the same point, where there is one.
 */
export function oracleGradients(
  given: Given,
  forward: OracleForward = oracleForward(given),
): { gradients: OracleWeights; forward: OracleForward } {
  const { plan, weights } = given
  const size = forward.pre.length
  const back: Backward = {
    given,
    forward,
    rows: latentRows(plan),
    batch: size / plan.shape.dSae,
    gradient: zerosLike(weights),
    activations: new Float64Array(size),
    pre: new Float64Array(size),
    z: new Float64Array(size),
    norms: new Float64Array(plan.shape.dSae),
  }
  throughReconstruction(back)
  throughPenalty(back)
  throughPreAct(back)
  throughGateAux(back)
  throughAux(back)
  throughSelection(back)
  addNormGradients({ plan, wDec: weights.wDec, derivatives: back.norms, gradient: back.gradient.wDec })
  throughEncoder(back)
  return { gradients: back.gradient, forward }
}

/** Decoder, b_dec and W_skip; a latent feels every level that contains it. */
function throughReconstruction({ given, forward, rows, batch, gradient, activations }: Backward): void {
  const { plan, weights, x } = given
  const { dIn, dSae, dOut } = plan.shape
  const { levels, errors } = forward
  for (let r = 0; r < batch; r++) {
    const error = new Float64Array(dOut)
    for (let l = levels.length - 1; l >= 0; l--) {
      for (let j = 0; j < dOut; j++) error[j] += ((2 * levels[l].weight) / batch) * errors[l][r * dOut + j]
      for (let i = l === 0 ? 0 : levels[l - 1].width; i < levels[l].width; i++) {
        const at = r * dSae + i
        activations[at] += throughDecoder({
          row: rows[i],
          value: forward.activations[at],
          error,
          wDec: weights.wDec,
          gradient: gradient.wDec,
        })
      }
    }
    for (let j = 0; j < dOut; j++) {
      gradient.bDec[j] += error[j]
      if (gradient.wSkip === undefined) continue
      for (let l = 0; l < dIn; l++) gradient.wSkip[j * dIn + l] += error[j] * x[r * dIn + l]
    }
  }
}

/** Adds value · error to a decoder row's gradient (none: frozen). @returns ⟨error, d_i⟩ */
function throughDecoder(options: {
  row: LatentRow
  value: number
  /** One row [d_out]. */
  error: Float64Array
  wDec: Float64Array
  gradient: Float64Array | null
}): number {
  const { row, value, error, wDec, gradient } = options
  const [from, to] = row.output
  const at = row.dec - from
  let upstream = 0
  for (let j = from; j < to; j++) {
    upstream += error[j] * wDec[at + j]
    if (gradient !== null) gradient[at + j] += value * error[j]
  }
  return upstream
}

function throughPenalty(back: Backward): void {
  const { plan } = back.given
  const { penalty } = back.forward
  if (penalty === null) return
  const { activations, norms, open } = penaltyDerivatives(penalty)
  // A gated plan's penalty reads ReLU(π), all others f.
  if (plan.selection.kind === 'gated') {
    activations.forEach((value, at) => {
      if (back.forward.pre[at] > 0) back.pre[at] += value
    })
  } else {
    activations.forEach((value, at) => {
      back.activations[at] += value
    })
  }
  if (isNormWeighted(penalty.penalty)) {
    norms.forEach((value, i) => {
      back.norms[i] += value
    })
  }
  if (open !== 0) throughJump(back, () => open)
}

/** The estimator of H(π − θ): ∂H/∂θ = −rect/ε, and the opposite to π where the plan lets it. */
function throughJump(back: Backward, upstream: (at: number) => number): void {
  const { plan, weights } = back.given
  const { selection } = plan
  if (selection.kind !== 'jumprelu') return
  const { bandwidth, steToInput } = selection
  const { dSae } = plan.shape
  back.forward.pre.forEach((value, at) => {
    const i = at % dSae
    if (Math.abs((value - weights.threshold![i]) / bandwidth) >= 0.5) return
    const slope = upstream(at) / bandwidth
    back.gradient.threshold![i] -= slope
    if (steToInput) back.pre[at] += slope
  })
}

function throughPreAct({ given, forward, batch, gradient, pre, norms }: Backward): void {
  const { plan, weights, dead } = given
  if (plan.preAct === null) return
  const { coefficient, on } = plan.preAct
  const { dSae } = plan.shape
  const scale = coefficient / batch
  forward.pre.forEach((value, at) => {
    const i = at % dSae
    const gap = (weights.threshold?.[i] ?? 0) - value
    if (gap <= 0 || (on === 'dead' && dead?.[i] !== 1)) return
    if (gradient.threshold !== undefined) gradient.threshold[i] += scale * forward.norms[i]
    pre[at] -= scale * forward.norms[i]
    norms[i] += scale * gap
  })
}

function throughGateAux({ given, forward, rows, batch, gradient, pre }: Backward): void {
  const { plan, weights } = given
  const { gateError, frozen } = forward
  if (gateError === null) return
  const { dSae, dOut } = plan.shape
  const { wDec } = frozen.decoder ?? weights
  for (let r = 0; r < batch; r++) {
    const error = gateError.slice(r * dOut, (r + 1) * dOut).map(value => (2 / batch) * value)
    if (frozen.decoder === null) for (let j = 0; j < dOut; j++) gradient.bDec[j] += error[j]
    for (let i = 0; i < dSae; i++) {
      const value = forward.pre[r * dSae + i]
      if (value <= 0) continue
      const to = frozen.decoder === null ? gradient.wDec : null
      pre[r * dSae + i] += throughDecoder({ row: rows[i], value, error, wDec, gradient: to })
    }
  }
}

function throughAux({ given, forward, rows, batch, gradient, pre }: Backward): void {
  const { plan, weights } = given
  const { aux } = forward.frozen
  if (aux === null) return
  const { dSae, dOut } = plan.shape
  const errors = auxErrors({ plan, weights, pre: forward.pre, aux })
  for (let r = 0; r < batch; r++) {
    const error = errors.slice(r * dOut, (r + 1) * dOut).map(value => ((2 * aux.weight) / batch) * value)
    for (const i of aux.selected[r]) {
      const at = r * dSae + i
      const value = auxActivation(plan, forward.pre[at])
      const { wDec } = weights
      const upstream = throughDecoder({ row: rows[i], value, error, wDec, gradient: gradient.wDec })
      if (!plan.auxK?.relu || forward.pre[at] > 0) pre[at] += upstream
    }
  }
}

/** From dL/df to dL/dπ and the selection's own parameters. */
function throughSelection(back: Backward): void {
  const { given, forward, gradient, activations, pre } = back
  const { weights } = given
  const { selection, shape } = given.plan
  const { open } = forward.frozen
  switch (selection.kind) {
    case 'relu':
    case 'topk':
    case 'batchtopk':
      activations.forEach((value, at) => {
        if (open[at] === 1 && forward.pre[at] > 0) pre[at] += value
      })
      return
    case 'jumprelu':
      activations.forEach((value, at) => {
        if (open[at] === 1) pre[at] += value
      })
      throughJump(back, at => activations[at] * weights.threshold![at % shape.dSae])
      return
    case 'gated':
      activations.forEach((value, at) => {
        const i = at % shape.dSae
        const interval = Math.exp(weights.rMag![i])
        if (open[at] === 0 || forward.z[at] * interval + weights.bMag![i] <= 0) return
        back.z[at] += value * interval
        gradient.rMag![i] += value * forward.z[at] * interval
        gradient.bMag![i] += value
      })
  }
}

/** W_enc, b_enc, and b_dec where the encoder reads x − b_dec. */
function throughEncoder({ given, rows, batch, gradient, pre, z }: Backward): void {
  const { plan, weights, x } = given
  const { dIn, dSae } = plan.shape
  for (let r = 0; r < batch; r++) {
    for (let i = 0; i < dSae; i++) {
      const at = r * dSae + i
      gradient.bEnc[i] += pre[at]
      const upstream = pre[at] + z[at]
      if (upstream === 0) continue
      const { enc, input } = rows[i]
      for (let j = input[0]; j < input[1]; j++) {
        const w = enc - input[0] + j
        gradient.wEnc[w] += upstream * (x[r * dIn + j] - (plan.centred ? weights.bDec[j] : 0))
        if (plan.centred) gradient.bDec[j] -= upstream * weights.wEnc[w]
      }
    }
  }
}

/** Removes from each decoder row's gradient its component along the row (unit-norm constraint). */
export function removeParallel(plan: Plan, wDec: Float64Array, gradient: Float64Array): void {
  for (const { dec, output } of latentRows(plan)) {
    const end = dec + output[1] - output[0]
    let dot = 0
    let square = 0
    for (let at = dec; at < end; at++) {
      dot += gradient[at] * wDec[at]
      square += wDec[at] ** 2
    }
    if (square > 0) for (let at = dec; at < end; at++) gradient[at] -= (dot / square) * wDec[at]
  }
}

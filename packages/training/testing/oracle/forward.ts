// The float64 judge: activations, reconstructions and every loss term of a plan, written close to the formulas of
// plan.ts. It knows plans and no family. What the gradient holds constant is handed back as `Frozen`.
import type { StepLoss } from '../../src/learner.ts'
import type { AuxK, Dynamics, Plan } from '../../src/plan.ts'
import { addLatents, decodeLevels, decoderNorms, encodeRows } from './linear.ts'
import { isNormWeighted, type PenaltyGiven, penaltyValue } from './penalty.ts'
import { activate, largestOf, openGates, scoresOf } from './selection.ts'
import type { OracleWeights } from './weights.ts'

export type Given = {
  plan: Plan
  weights: OracleWeights
  /** [B, d_in] and [B, d_out]; the same array for an SAE. */
  x: Float64Array
  y: Float64Array
  dynamics: Dynamics
  /** 1 for dead latents [d_sae]; null while fewer tokens were seen than makes a latent dead. */
  dead: Uint8Array | null
  /** Multiplies the penalty's coefficient: p-annealing keeps its size by it. Default 1. */
  penaltyFactor?: number
}

/** AuxK's constants: the dead latents that each row may use, what they reconstruct, and the term's weight. */
export type FrozenAux = {
  selected: Int32Array[]
  /** y − x̂ [B, d_out]. */
  residual: Float64Array
  /** coefficient · scale / denominator. */
  weight: number
}

/** What is held at the base point when the surrogate is differentiated. */
export type Frozen = {
  /** Selected sets and active sets: 1 where a latent may pass, [B, d_sae]. */
  open: Uint8Array
  /** π [B, d_sae] and θ [d_sae] at which the straight-through estimators sit. */
  pre: Float64Array
  threshold?: Float64Array
  dead: Uint8Array | null
  aux: FrozenAux | null
  /** The decoder in gated's auxiliary reconstruction; null where it is not frozen. */
  decoder: { wDec: Float64Array; bDec: Float64Array } | null
}

export type OracleForward = {
  loss: StepLoss
  /** x W_encᵀ without and with b_enc, [B, d_sae]. */
  z: Float64Array
  pre: Float64Array
  activations: Float64Array
  levels: Dynamics['levels'] & object
  /** x̂ − y of each level, [B, d_out]. */
  errors: Float64Array[]
  /** Gated: ReLU(π) W_dec + b_dec − y. */
  gateError: Float64Array | null
  reconstruction: Float64Array
  norms: Float64Array
  /** What the penalty was taken of; null without one. */
  penalty: PenaltyGiven | null
  frozen: Frozen
}

export function oracleForward(given: Given): OracleForward {
  const { plan, weights, x, y, dynamics, dead } = given
  const { dSae, dOut } = plan.shape
  const rows = y.length / dOut
  const z = encodeRows(plan, weights, x)
  const pre = z.map((value, at) => value + weights.bEnc[at % dSae])
  const norms = decoderNorms(plan, weights.wDec)
  const open = openGates({ plan, dynamics, pre, norms, weights })
  const activations = activate({ selection: plan.selection, z, pre, open, weights })
  const levels = dynamics.levels ?? plan.levels
  const reconstructions = decodeLevels({ plan, weights, levels, activations, x })
  const errors = reconstructions.map(values => values.map((value, at) => value - y[at]))
  const error = errors[errors.length - 1]

  const frozen: Frozen = {
    open,
    pre,
    threshold: weights.threshold?.slice(),
    dead,
    aux: auxConstants({ plan, dead, pre, norms, residual: error.map(value => -value) }),
    decoder:
      plan.selection.kind === 'gated' && plan.selection.frozenDecoder
        ? { wDec: weights.wDec.slice(), bDec: weights.bDec.slice() }
        : null,
  }
  const gateError =
    plan.selection.kind === 'gated' ? gateErrors({ plan, decoder: frozen.decoder ?? weights, pre, y }) : null
  const penalty = penaltyGiven({ ...given, pre, activations, norms, open: sum(open) })

  const mse = squares(error) / rows
  const reconstruction = errors.reduce(
    (total, values, l) => total + (levels[l].weight * squares(values)) / rows,
    0,
  )
  const terms = {
    reconstruction,
    sparsity: penalty === null ? 0 : penaltyValue(penalty),
    aux: frozen.aux === null ? 0 : auxValue({ plan, weights, pre, aux: frozen.aux }),
    preAct: preActValue({ plan, weights, pre, norms, dead }),
    gateAux: gateError === null ? 0 : squares(gateError) / rows,
  }
  const { sparsity, aux, preAct, gateAux } = terms
  const loss: StepLoss = {
    ...terms,
    loss: reconstruction + sparsity + aux + preAct + gateAux,
    mse,
    l0: sum(activations.map(value => Number(value > 0))) / rows,
    l1: sum(activations) / rows,
    deadLatents: dead === null ? null : sum(dead),
  }
  return {
    loss,
    z,
    pre,
    activations,
    levels,
    errors,
    gateError,
    reconstruction: reconstructions[reconstructions.length - 1],
    norms,
    penalty,
    frozen,
  }
}

/** ReLU(π) W_dec + b_dec − y, [B, d_out]. */
export function gateErrors(options: {
  plan: Plan
  decoder: { wDec: Float64Array; bDec: Float64Array }
  pre: Float64Array
  y: Float64Array
}): Float64Array {
  const { plan, decoder, pre, y } = options
  const { dSae, dOut } = plan.shape
  const error = y.map((value, at) => decoder.bDec[at % dOut] - value)
  const activations = pre.map(value => Math.max(0, value))
  addLatents({ plan, wDec: decoder.wDec, activations, latents: [0, dSae], onto: error })
  return error
}

/** What the plan's penalty reads; `open` is Σ H(π − θ). */
export function penaltyGiven(
  options: Given & { pre: Float64Array; activations: Float64Array; norms: Float64Array; open: number },
): PenaltyGiven | null {
  const { plan, dynamics, penaltyFactor = 1, pre, activations, norms, open, x } = options
  const { penalty, selection } = plan
  if (penalty === null) return null
  if ((penalty.kind === 'l0' || penalty.kind === 'target_l0') && selection.kind !== 'jumprelu')
    throw new Error(
      `a penalty ${penalty.kind} needs the thresholds of jumprelu, the plan has ${selection.kind}`,
    )
  return {
    penalty,
    factor: dynamics.sparsity * penaltyFactor,
    p: dynamics.p,
    activations: selection.kind === 'gated' ? pre.map(value => Math.max(0, value)) : activations,
    norms: isNormWeighted(penalty) ? norms : norms.map(() => 1),
    open,
    rows: x.length / plan.shape.dIn,
  }
}

/** coefficient · mean_B Σ ReLU(θ − π)·n; θ is 0 where the plan has none. */
export function preActValue(options: {
  plan: Plan
  weights: OracleWeights
  pre: Float64Array
  norms: Float64Array
  dead: Uint8Array | null
}): number {
  const { plan, weights, pre, norms, dead } = options
  if (plan.preAct === null) return 0
  const { coefficient, on } = plan.preAct
  const { dSae } = plan.shape
  let total = 0
  pre.forEach((value, at) => {
    const i = at % dSae
    if (on === 'all' || dead?.[i] === 1)
      total += Math.max(0, (weights.threshold?.[i] ?? 0) - value) * norms[i]
  })
  return (coefficient * total * dSae) / pre.length
}

/** AuxK's sets, target and weight; null without AuxK or without dead latents. */
function auxConstants(options: {
  plan: Plan
  dead: Uint8Array | null
  pre: Float64Array
  norms: Float64Array
  residual: Float64Array
}): FrozenAux | null {
  const { plan, dead, pre, norms, residual } = options
  const { auxK, selection, shape } = plan
  const candidates = Int32Array.from(dead ?? [], (flag, i) => (flag === 1 ? i : -1)).filter(i => i >= 0)
  if (auxK === null || auxK.coefficient === 0 || candidates.length === 0) return null
  const scores = scoresOf({ selection, pre, norms })
  const k = Math.min(auxK.kAux, candidates.length)
  const scale = auxK.scaleByDead ? Math.min(candidates.length / auxK.kAux, 1) : 1
  const variance = denominator(auxK, residual, shape.dOut)
  return {
    selected: Array.from({ length: pre.length / shape.dSae }, (_, row) =>
      largestOf({ scores, row, width: shape.dSae, candidates, k }),
    ),
    residual,
    // A residual without variance gives no signal (dictionary_learning's nan_to_num).
    weight: variance > 0 ? (auxK.coefficient * scale) / variance : 0,
  }
}

/** mean_B ‖r − r̄‖² with r̄ the batch mean, or 1. */
function denominator({ normalisation }: AuxK, residual: Float64Array, dOut: number): number {
  if (normalisation === 'none') return 1
  const rows = residual.length / dOut
  const mean = new Float64Array(dOut)
  residual.forEach((value, at) => {
    mean[at % dOut] += value / rows
  })
  return squares(residual.map((value, at) => value - mean[at % dOut])) / rows
}

/** AuxK's estimate minus the residual, [B, d_out]. */
export function auxErrors(options: {
  plan: Plan
  weights: OracleWeights
  pre: Float64Array
  aux: FrozenAux
}): Float64Array {
  const { plan, weights, pre, aux } = options
  const { dSae } = plan.shape
  const activations = new Float64Array(pre.length)
  aux.selected.forEach((latents, r) => {
    for (const i of latents) activations[r * dSae + i] = auxActivation(plan, pre[r * dSae + i])
  })
  const error = aux.residual.map(value => -value)
  addLatents({ plan, wDec: weights.wDec, activations, latents: [0, dSae], onto: error })
  return error
}

export const auxActivation = ({ auxK }: Plan, value: number): number =>
  auxK?.relu ? Math.max(0, value) : value

export function auxValue(options: {
  plan: Plan
  weights: OracleWeights
  pre: Float64Array
  aux: FrozenAux
}): number {
  const error = auxErrors(options)
  return (options.aux.weight * squares(error) * options.plan.shape.dOut) / error.length
}

export const squares = (values: Float64Array): number =>
  values.reduce((total, value) => total + value * value, 0)

const sum = (values: Float64Array | Uint8Array): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

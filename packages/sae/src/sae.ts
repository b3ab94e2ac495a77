// A finished SAE, as used by evaluation, extraction and files: what it computes at inference, with everything folded in
// that can be. A training makes one with finish/finalise.ts; formats/ read and write it.
import type { LatentGroup, SaeShape } from './shape.ts'

/**
 * Parameters, feature-major: `wEnc` [d_sae, d_in] and `wDec` [d_sae, d_out] rows, `bEnc` [d_sae], `bDec` [d_out]. With
 * several groups (cross-layer) rows are as wide as the group's input and output and follow each other.
 */
export type SaeWeights = {
  wEnc: Float32Array
  bEnc: Float32Array
  wDec: Float32Array
  bDec: Float32Array
  /** θ [d_sae], of JumpReLU. */
  threshold?: Float32Array
  /** r_mag and b_mag [d_sae], of gated SAEs. */
  rMag?: Float32Array
  bMag?: Float32Array
  /** W_skip [d_out, d_in]: x̂ += x W_skipᵀ. */
  wSkip?: Float32Array
}

export type Activation =
  | { kind: 'relu' }
  | { kind: 'topk'; k: number }
  | { kind: 'jumprelu' }
  | { kind: 'gated' }

/**
 * Row normalisation before the encoder, undone after the decoder; scalars and whitening are folded into
 * the weights, so only these remain. `layer_norm`: (x − μ)/(σ + 1e-5), σ unbiased, undone with μ and σ; `token_rms`:
 * x·√d/‖x‖. Every hook point of x has its own row statistics. It is undone only if the outputs are the inputs: a
 * transcoder's target is unknown at inference, so it is not normalised by row; W_skip reads the normalised x.
 */
export type RowNormalisation = 'none' | 'layer_norm' | 'token_rms'

export type Sae = {
  /** The family's wire name. */
  family: string
  shape: SaeShape
  groups: readonly LatentGroup[]
  activation: Activation
  centred: boolean
  normalisation: RowNormalisation
  weights: SaeWeights
  hooks: SaeHooks
}

/** Hook points whose columns are concatenated into x and y; the same for an SAE, several for a crosscoder. */
export type SaeHooks = { inputs: readonly HookSpan[]; outputs: readonly HookSpan[] }
export type HookSpan = { hook: string; width: number }

/** Whether y has the same hook points as x. */
export const outputsAreInputs = ({ inputs, outputs }: SaeHooks): boolean =>
  inputs.length === outputs.length &&
  inputs.every(({ hook, width }, i) => hook === outputs[i].hook && width === outputs[i].width)

/** The hook points for display: `a`, `a → b`, `a + b`. */
export function hookLabel(hooks: SaeHooks): string {
  const joined = (spans: readonly HookSpan[]) => spans.map(({ hook }) => hook).join(' + ')
  return outputsAreInputs(hooks) ? joined(hooks.inputs) : `${joined(hooks.inputs)} → ${joined(hooks.outputs)}`
}

// From a training to a finished SAE: normalisation and whatever else can be is folded into the
// weights, so that the SAE reads and writes the model's own activations. Formulas: SAELens's fold_W_dec_norm,
// fold_activation_norm_scaling_factor and fold_activation_whitening, with inputs and outputs handled separately.
import { InputError } from '@mistudio/files'
import {
  type Activation,
  copyWeights,
  foldNorms,
  foldOutputs,
  foldReads,
  hookSpans,
  type Normaliser,
  outputNorms,
  outputsAreInputs,
  type RowNormalisation,
  type Sae,
  type SaeHooks,
  type SaeWeights,
} from '@mistudio/sae'
import type { Plan } from '../plan.ts'

/** One per input and output hook point, in order; the same list twice if y is x. */
export type HookNormalisers = { inputs: readonly Normaliser[]; outputs: readonly Normaliser[] }

/**
 * Decoder norms are folded into the encoder (rows of W_dec end with norm 1, a latent's activation is the length of what
 * it writes) if only the activation's size changes: free decoders of ReLU, gated and JumpReLU. A selection by
 * π·‖d‖ (TopK, BatchTopK with `score` normed) folds the norms of the space it was trained in, so that it compares
 * pre-activations only; its rows have norm 1 before scale or whitening is undone. Other rows are unchanged.
 * BatchTopK becomes JumpReLU with θ = `threshold` for every latent.
 * @param options.threshold of the selection's score, in the training's space; only BatchTopK needs one
 * @param options.weights not changed
 * @throws InputError for BatchTopK without a threshold, for row normalisations that differ between hook points, or
 * for one on an output that is not an input (its rows' scale is unknown at inference)
 */
export function finaliseSae(options: {
  family: string
  plan: Plan
  weights: SaeWeights
  threshold?: number | null
  normalisers: HookNormalisers
  hooks: SaeHooks
}): Sae {
  const { family, plan, normalisers, hooks } = options
  const { shape, groups, selection, centred } = plan
  const normalisation = rowNormalisation(normalisers, hooks)
  const weights = copyWeights(options.weights)
  const parts = { groups, weights, normSegments: plan.normSegments }
  if ('score' in selection && selection.score === 'normed') {
    foldNorms({ ...parts, norms: outputNorms(parts), normedScore: true })
  }
  const activation = activationOf(plan, weights, options.threshold ?? null)
  foldReads({ ...parts, spans: hookSpans(hooks.inputs), normalisers: normalisers.inputs, centred })
  foldOutputs({ ...parts, spans: hookSpans(hooks.outputs), normalisers: normalisers.outputs })
  if (plan.decoder === 'free' && !('score' in selection)) {
    foldNorms({ ...parts, norms: outputNorms(parts), normedScore: false })
  }
  return { family, shape, groups, activation, centred, normalisation, weights, hooks }
}

function activationOf(plan: Plan, weights: SaeWeights, threshold: number | null): Activation {
  const { selection, shape } = plan
  switch (selection.kind) {
    case 'relu':
    case 'jumprelu':
    case 'gated':
      return { kind: selection.kind }
    case 'topk':
      return { kind: 'topk', k: selection.k }
    case 'batchtopk':
      if (threshold === null || !Number.isFinite(threshold)) {
        throw new InputError({
          message: 'a BatchTopK SAE cannot be finished without its threshold',
          field: 'threshold',
          found: String(threshold),
          expected: 'a number: the EMA of a step, or a calibrated one',
        })
      }
      weights.threshold = new Float32Array(shape.dSae).fill(threshold)
      return { kind: 'jumprelu' }
  }
}

/** The row normalisation that all these hook points must share. */
function rowNormalisation(normalisers: HookNormalisers, hooks: SaeHooks): RowNormalisation {
  const rowKind = ({ kind }: Normaliser): RowNormalisation =>
    kind === 'layer_norm' || kind === 'token_rms' ? kind : 'none'
  const inputs = normalisers.inputs.map(rowKind)
  const outputs = normalisers.outputs.map(rowKind)
  const [first] = inputs
  const wanted = outputsAreInputs(hooks) ? first : 'none'
  const other = [...inputs.filter(kind => kind !== first), ...outputs.filter(kind => kind !== wanted)][0]
  if (other === undefined) return first
  throw new InputError({
    message: 'the hook points of one SAE have different row normalisations',
    field: 'normalisation',
    found: `inputs ${inputs.join(', ')}; outputs ${outputs.join(', ')}`,
    expected: outputsAreInputs(hooks)
      ? 'the same for all'
      : 'the same for all inputs, and none for outputs that are not inputs: their rows’ scale is unknown at inference',
  })
}

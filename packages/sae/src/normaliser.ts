// Normalisation of activations before an SAE sees them. Training fits one and folds it into the finished SAE.

/**
 * Normalisation of one hook point's rows before the SAE sees them. `scale`: times one number. `token_rms`: each row
 * times √d/‖row‖. `layer_norm`: (row − μ)/(σ + 1e-5), σ unbiased. `whiten`: (row − mean) · matrixᵀ, matrix [d, d].
 */
export type Normaliser =
  | { kind: 'none' }
  | { kind: 'scale'; scale: number }
  | { kind: 'token_rms' }
  | { kind: 'layer_norm' }
  | { kind: 'whiten'; mean: Float32Array; matrix: Float32Array; inverse: Float32Array }

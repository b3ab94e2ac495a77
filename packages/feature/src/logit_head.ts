// The end of a model, final norm and unembedding, in the form that the logits of features are computed with. Which weights
// these are the model's architecture says.
import type { LanguageModel } from '@mistudio/model'
import type { LogitHead } from './logits.ts'

/**
 * A scale of the logits is folded into the norm's weight. A soft cap bends logits without changing their order, and is left
 * out as the norm's own scale is.
 */
export function logitHead({
  config,
  shapes,
  weights,
}: Pick<LanguageModel, 'config' | 'shapes' | 'weights'>): LogitHead {
  const { finalNorm: norm, unembed } = shapes
  const { scale = 1, layout = 'out_in' } = unembed
  const matrix = weights.readF32(unembed.weight)
  return {
    unembed: layout === 'out_in' ? matrix : transposed(matrix, unembed.vocab),
    gamma: factors().map(factor => factor * scale),
    centre: norm.kind === 'layer',
  }

  /** What the norm multiplies the stream's dimensions by. */
  function factors(): Float32Array {
    if (norm.kind === 'none' || norm.weight === undefined) return new Float32Array(config.dModel).fill(1)
    const weight = weights.readF32(norm.weight)
    return norm.unitOffset === true ? weight.map(value => 1 + value) : weight
  }
}

/** [rows, columns] as [columns, rows]. */
function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns
  const result = new Float32Array(matrix.length)
  for (let i = 0; i < matrix.length; i++) result[(i % columns) * rows + Math.floor(i / columns)] = matrix[i]
  return result
}

// A model's final norm and unembedding, in the form used to compute the logits of features. The model's
// architecture says which weights these are.
import type { LanguageModel } from '@mistudio/model'
import type { LogitHead } from './logits.ts'

/**
 * A scale of the logits is folded into the norm's weight. A soft cap does not change the order of logits and is left
 * out, like the norm's own scale.
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

  /** The norm's factor for each dimension of the stream. */
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

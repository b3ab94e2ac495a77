// Rotary position embedding: the angles of every position, with the scalings of Llama checkpoints.
// Formulas: RoFormer (Su et al. 2021) §3.4; `linear`: Chen et al. 2023 (position interpolation);
// `llama3`: as in Meta's Llama 3.1 release, parameters named as in transformers' `rope_parameters`.

export type RopeScaling =
  | { type: 'default' }
  | { type: 'linear'; factor: number }
  | {
      type: 'llama3'
      factor: number
      lowFreqFactor: number
      highFreqFactor: number
      originalContext: number
    }

export type RopeConfig = { theta: number; scaling: RopeScaling }

/**
 * cos and sin of position · frequency, both [positions, rotaryDims / 2]; `rotaryDims` of a head's dimensions are rotated.
 * Frequencies and angles are rounded to float32 where transformers rounds them: at late positions the rounding
 * exceeds the tolerance of the goldens.
 */
export function ropeTable(options: { rope: RopeConfig; rotaryDims: number; positions: number }): {
  cos: Float32Array
  sin: Float32Array
} {
  const { rope, rotaryDims, positions } = options
  const frequencies = ropeFrequencies(rope, rotaryDims)
  const half = rotaryDims / 2
  const cos = new Float32Array(positions * half)
  const sin = new Float32Array(positions * half)
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i])
      cos[position * half + i] = Math.cos(angle)
      sin[position * half + i] = Math.sin(angle)
    }
  }
  return { cos, sin }
}

/** Radians per position of each pair of dimensions, [rotaryDims / 2]. */
export function ropeFrequencies({ theta, scaling }: RopeConfig, rotaryDims: number): Float32Array {
  const frequencies = Float32Array.from(
    { length: rotaryDims / 2 },
    (_, i) => theta ** ((-2 * i) / rotaryDims),
  )
  if (scaling.type === 'default') return frequencies
  if (scaling.type === 'linear') return frequencies.map(frequency => frequency / scaling.factor)
  const { factor, lowFreqFactor, highFreqFactor, originalContext } = scaling
  return frequencies.map(frequency => {
    const turns = (originalContext * frequency) / (2 * Math.PI)
    // Fast pairs keep their frequency, slow ones are fully scaled, with a linear blend in between.
    if (turns > highFreqFactor) return frequency
    if (turns < lowFreqFactor) return frequency / factor
    const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
    return ((1 - smooth) * frequency) / factor + smooth * frequency
  })
}

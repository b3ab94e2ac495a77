// How a TopK SAE starts.

import { gaussianStream } from '../random.ts'
import type { SaeShape, SaeWeights } from './families.ts'

/** Tied initialisation: decoder rows uniform on the sphere, W_enc = W_dec (feature-major), biases 0. */
export function initialWeights(options: { shape: SaeShape; seed: number }): SaeWeights {
  const { dIn, dSae } = options.shape
  const draw = gaussianStream({ seed: options.seed, purpose: 'topk weights' })
  const wDec = new Float32Array(dSae * dIn)
  for (let i = 0; i < dSae; i++) {
    let square = 0
    for (let j = 0; j < dIn; j++) {
      const value = draw()
      wDec[i * dIn + j] = value
      square += value * value
    }
    const norm = Math.sqrt(square)
    for (let j = 0; j < dIn; j++) wDec[i * dIn + j] /= norm
  }
  return { wEnc: wDec.slice(), bEnc: new Float32Array(dSae), wDec, bDec: new Float32Array(dIn) }
}

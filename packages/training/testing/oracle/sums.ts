// What metrics are made from: sums over one batch, in float64.
import type { BatchSums } from '@mistudio/sae'

/** Bins of `BatchSums.l0Histogram` for an SAE of so many latents. */
export const histogramBins = (dSae: number): number => 2 + Math.floor(Math.log2(dSae))
export const histogramBin = (firing: number): number => (firing === 0 ? 0 : 1 + Math.floor(Math.log2(firing)))

export function batchSums(options: {
  y: Float64Array
  reconstruction: Float64Array
  /** [B, d_sae] */
  activations: Float64Array
  dOut: number
}): BatchSums {
  const { y, reconstruction, activations, dOut } = options
  const rows = y.length / dOut
  const dSae = activations.length / rows
  const sums: BatchSums = {
    rows,
    squaredError: new Float64Array(dOut),
    sum: new Float64Array(dOut),
    sumSquares: new Float64Array(dOut),
    reconstructionSquares: 0,
    product: 0,
    cosine: 0,
    normRatio: 0,
    firing: 0,
    l0Histogram: new Float64Array(histogramBins(dSae)),
    fired: new Float64Array(dSae),
  }
  for (let r = 0; r < rows; r++) {
    let [squares, targetSquares, product] = [0, 0, 0]
    for (let j = 0; j < dOut; j++) {
      const target = y[r * dOut + j]
      const estimate = reconstruction[r * dOut + j]
      sums.squaredError[j] += (estimate - target) ** 2
      sums.sum[j] += target
      sums.sumSquares[j] += target * target
      squares += estimate * estimate
      targetSquares += target * target
      product += estimate * target
    }
    sums.reconstructionSquares += squares
    sums.product += product
    // A row of zeros has no direction: it counts 0.
    if (squares > 0 && targetSquares > 0) sums.cosine += product / Math.sqrt(squares * targetSquares)
    if (targetSquares > 0) sums.normRatio += Math.sqrt(squares / targetSquares)
    let firing = 0
    for (let i = 0; i < dSae; i++) {
      if (!(activations[r * dSae + i] > 0)) continue
      firing++
      sums.fired[i]++
    }
    sums.firing += firing
    sums.l0Histogram[histogramBin(firing)]++
  }
  return sums
}

// How often and how strongly every feature fires: running counts over the unmasked tokens of one pass. The
// histogram has a bin for each power of two because activations of one SAE span many octaves, and because the bin
// of a float32 is its exponent: no logarithm is computed.
import type { FeatureItem } from '@mistudio/contract'

/** Bins of [2^e, 2^(e+1)) for e from `minExponent` to `maxExponent − 1`, one below and one above. */
export const logBins = {
  minExponent: -16,
  maxExponent: 16,
  /** Underflow, 32 octaves, overflow. */
  count: 34,
} as const

/** Bin of a float32 by its bits (a value > 0): 0 is underflow, `logBins.count − 1` overflow. */
export function logBinOfBits(bits: number): number {
  const exponent = ((bits >>> 23) & 0xff) - 127
  if (exponent < logBins.minExponent) return 0
  if (exponent >= logBins.maxExponent) return logBins.count - 1
  return exponent - logBins.minExponent + 1
}

const scalar = new Float32Array(1)
const scalarBits = new Int32Array(scalar.buffer)

/** Bin of a value > 0, after rounding to float32. */
export function logBin(value: number): number {
  scalar[0] = value
  return logBinOfBits(scalarBits[0])
}

/** Bounds of a bin: [low, high). */
export function logBinRange(bin: number): { low: number; high: number } {
  const exponent = bin - 1 + logBins.minExponent
  return {
    low: bin === 0 ? 0 : 2 ** exponent,
    high: bin === logBins.count - 1 ? Infinity : 2 ** (exponent + 1),
  }
}

/** One feature over the unmasked tokens seen; density is null before the first, max and mean until it fires. */
export type FeatureStatistics = Pick<FeatureItem, 'fired' | 'density' | 'max' | 'mean'> & {
  /** Firing tokens per bin of `logBins`; sums to `fired`. */
  histogram: number[]
}

export interface ActivationStatistics {
  readonly features: number
  /** Counts unmasked tokens, firing or not. */
  addTokens(count: number): void
  /** Adds the activations `values[from … to)`, all > 0, of one feature; `bits` views the same bytes as int32. */
  addRun(feature: number, values: Float32Array, bits: Int32Array, from: number, to: number): void
  tokens(): number
  fired(feature: number): number
  of(feature: number): FeatureStatistics
  /** Features that fired at least once. */
  alive(): number
}

export function createStatistics(options: { features: number }): ActivationStatistics {
  const { features } = options
  const fired = new Uint32Array(features)
  const sums = new Float64Array(features)
  const maxima = new Float32Array(features)
  const histograms = new Uint32Array(features * logBins.count)
  let tokens = 0
  return {
    features,
    addTokens(count) {
      tokens += count
    },
    addRun(feature, values, bits, from, to) {
      const bins = feature * logBins.count
      let sum = 0
      let max = maxima[feature]
      for (let i = from; i < to; i++) {
        const value = values[i]
        sum += value
        if (value > max) max = value
        histograms[bins + logBinOfBits(bits[i])]++
      }
      fired[feature] += to - from
      sums[feature] += sum
      maxima[feature] = max
    },
    tokens: () => tokens,
    fired: feature => fired[feature],
    of(feature) {
      const count = fired[feature]
      return {
        fired: count,
        density: tokens === 0 ? null : count / tokens,
        max: count === 0 ? null : maxima[feature],
        mean: count === 0 ? null : sums[feature] / count,
        histogram: Array.from(histograms.subarray(feature * logBins.count, (feature + 1) * logBins.count)),
      }
    },
    alive: () => fired.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0),
  }
}

// Examples of weaker activations: for each feature a small uniform sample of the contexts whose peak is in each
// power of two, to show what a feature does below its maximum. Quantiles of a stream need a second
// pass; fixed bins do not, and their counts show how common each strength is.
// Every draw is a function of (seed, feature, bin, how many came before): the counts are the only state, and the
// result does not depend on other features' draws.
import { InputError } from '@mistudio/files'
import { logBins } from './statistics.ts'
import { mix32 } from './windows.ts'

type ReservoirEntry = {
  slot: number
  bin: number
  activation: number
  keyHigh: number
  keyLow: number
  context: number
  position: number
}

export interface QuantileReservoirs {
  readonly perBin: number
  /**
   * Counts a context of a feature whose peak is in `bin` and draws its place.
   * @returns the slot it would take, or −1 if it was not drawn; `put` fills the slot
   */
  draw(feature: number, bin: number): number
  /** @returns false, changing nothing, if the bin already has an example of equal content */
  put(options: {
    feature: number
    bin: number
    slot: number
    activation: number
    keyHigh: number
    keyLow: number
    context: number
    position: number
  }): boolean
  /** Contexts of a feature by the `logBins` bin of their peak, kept or not. */
  counts(feature: number): number[]
  /** The sample, strongest bin first, and within a bin strongest first. */
  examples(feature: number): ReservoirEntry[]
}

/**
 * Reservoir sampling (Vitter's algorithm R) of `perBin` contexts for each feature and bin of `logBins`.
 * Slots are numbered as they are first needed. A drawn duplicate is refused; the older one stays.
 */
export function createReservoirs(options: {
  features: number
  seed: number
  /** Examples kept for each feature and bin. */
  perBin?: number
}): QuantileReservoirs {
  const { features, seed, perBin = 2 } = options
  if (!Number.isInteger(perBin) || perBin < 1 || perBin > 255) {
    throw new InputError({
      message: 'the reservoirs need a size',
      field: 'perBin',
      found: String(perBin),
      expected: 'a whole number from 1 to 255',
    })
  }
  const seen = new Uint32Array(features * logBins.count)
  // First slot of a feature's bin + 1, 0 while it has none; and how many of its slots are filled.
  const bases = new Uint32Array(features * logBins.count)
  const filled = new Uint8Array(features * logBins.count)
  const entries: (ReservoirEntry | undefined)[] = []
  const salt = mix32(seed | 0) ^ mix32(Math.floor(seed / 2 ** 32) + 0x51ed270b)

  return {
    perBin,
    draw(feature, bin) {
      const cell = feature * logBins.count + bin
      const before = seen[cell]++
      let place = before
      if (before >= perBin) {
        const hash = mix32(mix32(mix32(salt ^ feature) + bin) ^ before) >>> 0
        place = Math.floor((hash / 2 ** 32) * (before + 1))
        if (place >= perBin) return -1
      }
      if (bases[cell] === 0) {
        bases[cell] = entries.length + 1
        for (let i = 0; i < perBin; i++) entries.push(undefined)
      }
      // Refused duplicates leave empty places; drawing any of them fills the first.
      return bases[cell] - 1 + Math.min(place, filled[cell])
    },
    put({ feature, bin, slot, activation, keyHigh, keyLow, context, position }) {
      const cell = feature * logBins.count + bin
      const base = bases[cell] - 1
      for (let i = base; i < base + filled[cell]; i++) {
        const entry = entries[i]!
        if (entry.keyLow === keyLow && entry.keyHigh === keyHigh) return false
      }
      if (slot === base + filled[cell]) filled[cell]++
      entries[slot] = { slot, bin, activation, keyHigh, keyLow, context, position }
      return true
    },
    counts: feature => Array.from(seen.subarray(feature * logBins.count, (feature + 1) * logBins.count)),
    examples(feature) {
      const found: ReservoirEntry[] = []
      for (let bin = logBins.count - 1; bin >= 0; bin--) {
        const cell = feature * logBins.count + bin
        const base = bases[cell] - 1
        const inBin = entries.slice(base, base + filled[cell]) as ReservoirEntry[]
        if (base >= 0) found.push(...inBin.sort((a, b) => b.activation - a.activation || a.slot - b.slot))
      }
      return found
    },
  }
}

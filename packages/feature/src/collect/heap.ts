// IncrementalTopKHeap: keeps the strongest examples of every feature as tokens stream by. A candidate costs
// one comparison with its feature's weakest kept example; of millions, all but a few thousand stop there.
// Not a heap inside: each feature has a fixed block of unordered slots with a pointer to the weakest. Looking for
// duplicates scans the whole block anyway, so heap order would save nothing at the few dozen examples that people view.
import { InputError } from '@mistudio/files'

/** Features with at least one example, and examples over all features. */
export type HeapStats = { features_in_heap: number; heap_examples_count: number }

/** A candidate: a context with one feature's peak in it. */
export type HeapCandidate = {
  feature: number
  /** The peak activation; only finite values above 0 are examples. */
  activation: number
  /** The content of the window as two 32-bit hashes (`windowKey`); equal keys are the same example. */
  keyHigh: number
  keyLow: number
  /** Where the example is; two integers that are only stored. Default 0. */
  context?: number
  position?: number
}

/** An example that was kept. `slot` is stable while it stays and is reused when it is evicted. */
export type HeapEntry = {
  slot: number
  activation: number
  keyHigh: number
  keyLow: number
  context: number
  position: number
}

export interface IncrementalTopKHeap {
  readonly features: number
  readonly capacity: number
  /** Adds a candidate. @returns whether it was kept. */
  add(candidate: HeapCandidate): boolean
  /** As `add`. @returns the slot it was kept in (`feature * capacity` … `+ capacity − 1`), or −1: for callers that store their own payload. */
  claim(candidate: HeapCandidate): number
  /** A cheap first check: false if no candidate of this activation can be kept, whatever its content. */
  admits(feature: number, activation: number): boolean
  /** O(1): both counters are kept up to date by `add`. */
  getStats(): HeapStats
  /** Examples of a feature, strongest first; equal activations in the order added. */
  examples(feature: number): HeapEntry[]
  /** How many examples a feature has. */
  count(feature: number): number
}

/**
 * Keeps each feature's `capacity` strongest examples of distinct content.
 *
 * - Order: larger activation first; then the one added first. A full feature evicts its
 *   last when a candidate ranks before it; an equal activation therefore never evicts.
 * - Duplicates (equal keys) are refused, unless the new one is strictly stronger: then it replaces the
 *   old one and no counter changes, so the result does not depend on which of the two came first.
 * - A candidate that is not a finite number above 0 is refused.
 *
 * The result equals: for each content its first strongest occurrence, sorted, cut at `capacity` (the test's oracle).
 * @param options features: how many; capacity: examples kept for each, default 20
 */
export function createIncrementalTopKHeap(options: {
  features: number
  capacity?: number
}): IncrementalTopKHeap {
  const { features, capacity = 20 } = options
  positive('features', features)
  positive('capacity', capacity)
  const slots = features * capacity
  const activations = new Float32Array(slots)
  const orders = new Float64Array(slots)
  const keysHigh = new Int32Array(slots)
  const keysLow = new Int32Array(slots)
  const contexts = new Int32Array(slots)
  const positions = new Int32Array(slots)
  const counts = new Uint32Array(features)
  /** The activation a candidate must exceed: 0 while the feature has room. */
  const thresholds = new Float32Array(features)
  /** The slot to evict next, for full features. */
  const weakest = new Uint32Array(features)
  let featuresInHeap = 0
  let exampleCount = 0
  let order = 0

  /** Called after a change in a full feature. */
  function findWeakest(feature: number): void {
    const from = feature * capacity
    let least = from
    for (let slot = from + 1; slot < from + capacity; slot++) {
      const difference = activations[slot] - activations[least]
      if (difference < 0 || (difference === 0 && orders[slot] > orders[least])) least = slot
    }
    weakest[feature] = least
    thresholds[feature] = activations[least]
  }

  function slotOf(feature: number, high: number, low: number): number {
    const from = feature * capacity
    const to = from + counts[feature]
    for (let slot = from; slot < to; slot++) {
      if (keysLow[slot] === low && keysHigh[slot] === high) return slot
    }
    return -1
  }

  function claim({ feature, activation, keyHigh, keyLow, context = 0, position = 0 }: HeapCandidate): number {
    // Rounded first, so that the value compared is the value kept.
    const value = Math.fround(activation)
    if (!(value > thresholds[feature]) || value === Infinity) return -1
    const high = keyHigh | 0
    const low = keyLow | 0
    const count = counts[feature]
    const known = slotOf(feature, high, low)
    if (known >= 0 && !(value > activations[known])) return -1
    let slot = known
    if (slot < 0) {
      if (count < capacity) {
        slot = feature * capacity + count
        counts[feature] = count + 1
        exampleCount++
        if (count === 0) featuresInHeap++
      } else slot = weakest[feature]
    }
    activations[slot] = value
    orders[slot] = order++
    keysHigh[slot] = high
    keysLow[slot] = low
    contexts[slot] = context
    positions[slot] = position
    if (counts[feature] === capacity) findWeakest(feature)
    return slot
  }

  return {
    features,
    capacity,
    claim,
    add: candidate => claim(candidate) >= 0,
    admits: (feature, activation) => activation > thresholds[feature],
    getStats: () => ({ features_in_heap: featuresInHeap, heap_examples_count: exampleCount }),
    count: feature => counts[feature],
    examples(feature) {
      const from = feature * capacity
      const sorted = Array.from({ length: counts[feature] }, (_, i) => from + i)
      sorted.sort((a, b) => activations[b] - activations[a] || orders[a] - orders[b])
      return sorted.map(slot => ({
        slot,
        activation: activations[slot],
        keyHigh: keysHigh[slot],
        keyLow: keysLow[slot],
        context: contexts[slot],
        position: positions[slot],
      }))
    },
  }
}

function positive(field: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return
  throw new InputError({
    message: 'the heap of examples needs a size',
    field,
    found: String(value),
    expected: 'a whole number above 0',
  })
}

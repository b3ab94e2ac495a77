// Turns one SAE's sparse hits into statistics, top examples and quantile examples, in one pass.
// A batch's hits are reordered from tokens to features (a counting sort, CSR), because then a
// feature's counters and current minimum stay in registers, finding its peak in a context scans neighbours,
// and the text around a peak is built only for the few candidates that a heap or a reservoir accepts.

import { InputError } from '@mistudio/files'
import type { HitList } from '@mistudio/sae'
import { createIncrementalTopKHeap, type HeapStats, type IncrementalTopKHeap } from './heap.ts'
import { createReservoirs, type QuantileReservoirs } from './reservoir.ts'
import { type ActivationStatistics, createStatistics, logBin, logBinOfBits } from './statistics.ts'
import {
  createWindowPool,
  defaultWindow,
  type ExampleWindow,
  type Span,
  type WindowShape,
  windowKey,
  windowSpan,
} from './windows.ts'

/** Hits of a batch of whole contexts; row r is token r % contextSize of context r / contextSize. */
export type CollectorBatch = {
  /** Contexts in the batch. */
  contexts: number
  /** Index of the batch's first context; the collector keeps `firstContext + i` with every example. */
  firstContext: number
  /** Token ids [contexts, contextSize]. */
  ids: Int32Array
  /** 1 = counted, 0 = excluded (position 0, special tokens, padding) [contexts, contextSize]. */
  mask: Uint8Array
  /** The firing latents of all rows, in order. */
  hits: readonly HitList[]
  /** The documents of a context of this batch, called only for examples that are kept; default one document. */
  documentsOf?: (context: number) => readonly Span[]
}

/** An example with its text. */
export type CollectedExample = {
  kind: 'top' | 'quantile'
  feature: number
  /** From 0, among the examples of its kind. */
  rank: number
  /** Bin of `logBins` of the peak activation. */
  bin: number
  activation: number
  context: number
  position: number
  window: ExampleWindow
}

export interface Collector {
  readonly features: number
  readonly heap: IncrementalTopKHeap
  readonly statistics: ActivationStatistics
  readonly reservoirs: QuantileReservoirs
  add(batch: CollectorBatch): void
  getStats(): HeapStats
  /**
   * Examples of a feature: the top ones by rank, then the quantile ones (strongest first). Quantile
   * examples that repeat the content of an earlier example are left out.
   */
  examples(feature: number): CollectedExample[]
  /** Tokens of every window that `examples` may show, of all features. */
  windows(): Iterable<Int32Array>
}

/**
 * One example is one context: only a feature's largest activation in a context counts (the first of
 * equals). Masked tokens are never counted; in a window their activation is 0.
 * @param options.features latents; contextSize: tokens of a context
 */
export function createCollector(options: {
  features: number
  contextSize: number
  seed: number
  /** Top examples of each feature, default 20. */
  examplesPerFeature?: number
  /** Quantile examples of each feature and power of two, default 2. */
  quantilesPerBin?: number
  /** Tokens around a peak, default 24 before and 16 after. */
  window?: WindowShape
}): Collector {
  const { features, contextSize, seed, examplesPerFeature, quantilesPerBin } = options
  const heap = createIncrementalTopKHeap({ features, capacity: examplesPerFeature })
  const statistics = createStatistics({ features })
  const reservoirs = createReservoirs({ features, seed, perBin: quantilesPerBin })
  const pool = createWindowPool({ shape: options.window ?? defaultWindow })
  // Window number + 1 of each slot, 0 if the slot was never used: dead features need no text.
  const heapWindows = new Int32Array(features * heap.capacity)
  const reservoirWindows: number[] = []
  // Offsets of the features' hits in the CSR arrays of the current batch [features + 1].
  const offsets = new Uint32Array(features + 1)
  const cursors = new Uint32Array(features)
  let rows = new Int32Array(0)
  let values = new Float32Array(0)
  let bits = new Int32Array(0)
  const key = { high: 0, low: 0 }

  /** Counting sort of the batch's unmasked positive hits by feature; rows ascend within a feature. */
  function sortByFeature({ mask, hits: lists }: CollectorBatch): number {
    offsets.fill(0)
    let tokens = 0
    for (const { firstRow, rows: held, starts, index, value } of lists) {
      for (let r = 0; r < held; r++) {
        if (mask[firstRow + r] === 0) continue
        tokens++
        for (let i = starts[r]; i < starts[r + 1]; i++) {
          const v = value[i]
          if (v > 0 && v < Infinity) offsets[index[i] + 1]++
          else throw notAnActivation(v, firstRow + r)
        }
      }
    }
    for (let feature = 0; feature < features; feature++) {
      offsets[feature + 1] += offsets[feature]
      cursors[feature] = offsets[feature]
    }
    const hits = offsets[features]
    if (values.length < hits) {
      rows = new Int32Array(hits + (hits >> 2))
      values = new Float32Array(rows.length)
      bits = new Int32Array(values.buffer)
    }
    for (const { firstRow, rows: held, starts, index, value } of lists) {
      for (let r = 0; r < held; r++) {
        if (mask[firstRow + r] === 0) continue
        for (let i = starts[r]; i < starts[r + 1]; i++) {
          const at = cursors[index[i]]++
          rows[at] = firstRow + r
          values[at] = value[i]
        }
      }
    }
    return tokens
  }

  /** Offers the peak `values[peak]` of one context, whose hits are `from … to`, to the reservoir and the heap. */
  function offer(batch: CollectorBatch, feature: number, from: number, to: number, peak: number): void {
    const activation = values[peak]
    const bin = logBinOfBits(bits[peak])
    const drawn = reservoirs.draw(feature, bin)
    const admitted = heap.admits(feature, activation)
    if (drawn < 0 && !admitted) return
    const { ids, firstContext, documentsOf } = batch
    const inBatch = Math.floor(rows[peak] / contextSize)
    const base = inBatch * contextSize
    const context = firstContext + inBatch
    const position = rows[peak] - base
    const documents = documentsOf === undefined ? [] : documentsOf(context)
    const span = windowSpan({ position, contextSize, documents, shape: pool.shape })
    windowKey(ids, base + span.start, base + span.end, rows[peak], key)
    const candidate = { feature, activation, keyHigh: key.high, keyLow: key.low, context, position }
    const text = {
      ids,
      from: base + span.start,
      to: base + span.end,
      start: span.start,
      rows,
      values,
      hitFrom: from,
      hitTo: to,
    }
    if (admitted) {
      const slot = heap.claim(candidate)
      if (slot >= 0) pool.write({ ...text, window: (heapWindows[slot] ||= pool.take() + 1) - 1 })
    }
    if (drawn >= 0 && reservoirs.put({ ...candidate, bin, slot: drawn })) {
      pool.write({ ...text, window: (reservoirWindows[drawn] ??= pool.take()) })
    }
  }

  function addFeature(batch: CollectorBatch, feature: number): void {
    const end = offsets[feature + 1]
    let from = offsets[feature]
    if (from === end) return
    statistics.addRun(feature, values, bits, from, end)
    while (from < end) {
      const limit = (Math.floor(rows[from] / contextSize) + 1) * contextSize
      let peak = from
      let to = from + 1
      while (to < end && rows[to] < limit) {
        if (values[to] > values[peak]) peak = to
        to++
      }
      offer(batch, feature, from, to, peak)
      from = to
    }
  }

  return {
    features,
    heap,
    statistics,
    reservoirs,
    add(batch) {
      statistics.addTokens(sortByFeature(batch))
      for (let feature = 0; feature < features; feature++) addFeature(batch, feature)
    },
    getStats: () => heap.getStats(),
    windows: pool.tokens,
    examples(feature) {
      const shown = new Set<string>()
      const found: CollectedExample[] = []
      heap.examples(feature).forEach(({ slot, activation, context, position, keyHigh, keyLow }, rank) => {
        shown.add(`${keyHigh}/${keyLow}`)
        const window = pool.read(heapWindows[slot] - 1)
        found.push({
          kind: 'top',
          feature,
          rank,
          bin: logBin(activation),
          activation,
          context,
          position,
          window,
        })
      })
      let rank = 0
      for (const { slot, bin, activation, context, position, keyHigh, keyLow } of reservoirs.examples(
        feature,
      )) {
        const content = `${keyHigh}/${keyLow}`
        if (shown.has(content)) continue
        shown.add(content)
        const window = pool.read(reservoirWindows[slot])
        found.push({ kind: 'quantile', feature, rank: rank++, bin, activation, context, position, window })
      }
      return found
    },
  }
}

function notAnActivation(value: number, row: number): Error {
  return new InputError({
    message: 'the SAE gave an invalid activation, so the extraction stops',
    field: `token ${row} of the batch`,
    found: String(value),
    expected: 'a finite number of at least 0',
  })
}

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { evenHits } from '../../testing/feature_support.ts'
import { createCollector } from './collector.ts'
import { logBin } from './statistics.ts'
import { mix32, type Span } from './windows.ts'

const contextSize = 12
const k = 3
const features = 5
const shape = { before: 3, after: 2 }

type Text = { ids: number[]; mask: number[]; hits: { feature: number; value: number }[][]; cut: number }

const token = fc.record({
  id: fc.integer({ min: 1, max: 3 }),
  mask: fc.integer({ min: 0, max: 4 }),
  hits: fc.uniqueArray(
    fc.record({ feature: fc.nat(features - 1), value: fc.constantFrom(0, 0.25, 0.5, 1, 2, 3) }),
    { selector: hit => hit.feature, minLength: k, maxLength: k },
  ),
})
const text: fc.Arbitrary<Text> = fc
  .tuple(fc.array(token, { minLength: contextSize, maxLength: contextSize }), fc.nat(contextSize))
  .map(([tokens, cut]) => ({
    ids: tokens.map(({ id }) => id),
    mask: tokens.map(({ mask }) => (mask === 0 ? 0 : 1)),
    hits: tokens.map(({ hits }) => hits),
    cut,
  }))

const documentsOf = ({ cut }: Text): Span[] =>
  [
    { start: 0, end: cut },
    { start: cut, end: contextSize },
  ].filter(span => span.end > span.start)

function feed(texts: Text[], contextsPerBatch: number, seed = 1) {
  const collector = createCollector({
    features,
    contextSize,
    seed,
    examplesPerFeature: 3,
    quantilesPerBin: 1,
    window: shape,
  })
  for (let from = 0; from < texts.length; from += contextsPerBatch) {
    const part = texts.slice(from, from + contextsPerBatch)
    collector.add({
      contexts: part.length,
      firstContext: from,
      ids: Int32Array.from(part.flatMap(({ ids }) => ids)),
      mask: Uint8Array.from(part.flatMap(({ mask }) => mask)),
      hits: evenHits({
        k,
        index: part.flatMap(({ hits }) => hits.flat().map(hit => hit.feature)),
        value: part.flatMap(({ hits }) => hits.flat().map(hit => hit.value)),
      }),
      documentsOf: context => documentsOf(texts[context]),
    })
  }
  return collector
}

/** Activations of a feature over a context, masked tokens 0. */
function along({ mask, hits }: Text, feature: number): number[] {
  return hits.map((row, i) => (mask[i] === 1 ? (row.find(hit => hit.feature === feature)?.value ?? 0) : 0))
}

function peaks(texts: Text[], feature: number) {
  return texts.flatMap((context, number) => {
    const activations = along(context, feature)
    const activation = Math.max(...activations)
    if (!(activation > 0)) return []
    const position = activations.indexOf(activation)
    const document = documentsOf(context).find(span => position >= span.start && position < span.end)!
    const start = Math.max(document.start, position - shape.before)
    const end = Math.min(document.end, position + shape.after + 1)
    return [
      {
        activation,
        position,
        context: number,
        start,
        tokens: context.ids.slice(start, end),
        activations: activations.slice(start, end),
      },
    ]
  })
}

/** As in heap.test.ts, but by the content itself, not its hash. */
function topOracle(texts: Text[], feature: number) {
  const best = new Map<string, ReturnType<typeof peaks>[number]>()
  for (const peak of peaks(texts, feature)) {
    const content = JSON.stringify([peak.tokens, peak.position - peak.start])
    if ((best.get(content)?.activation ?? 0) < peak.activation) best.set(content, peak)
  }
  return [...best.values()]
    .sort((a, b) => b.activation - a.activation || a.context - b.context)
    .slice(0, 3)
    .map((peak, rank) => ({ ...peak, rank }))
}

function shown(collector: ReturnType<typeof feed>, feature: number, kind: 'top' | 'quantile') {
  return collector
    .examples(feature)
    .filter(example => example.kind === kind)
    .map(({ activation, position, context, rank, window }) => ({
      activation,
      position,
      context,
      start: window.start,
      tokens: Array.from(window.tokens),
      activations: Array.from(window.activations),
      rank,
    }))
}

test('top examples, windows and statistics equal the naive ones, however the contexts are batched', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 14 }), fc.integer({ min: 1, max: 5 }), (texts, batch) => {
      const collector = feed(texts, batch)
      const tokens = texts.reduce((sum, { mask }) => sum + mask.filter(m => m === 1).length, 0)
      expect(collector.statistics.tokens()).toBe(tokens)
      let examples = 0
      for (let feature = 0; feature < features; feature++) {
        const expected = topOracle(texts, feature)
        expect(shown(collector, feature, 'top')).toEqual(expected)
        examples += expected.length
        const values = texts.flatMap(context => along(context, feature)).filter(value => value > 0)
        const { fired, max, mean } = collector.statistics.of(feature)
        expect(fired).toBe(values.length)
        expect(max).toBe(values.length === 0 ? null : Math.max(...values))
        if (mean !== null) expect(mean).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 10)
      }
      expect(collector.getStats().heap_examples_count).toBe(examples)
    }),
  )
})

test('quantile examples are peaks of their bin, distinct from the top ones, and counted per bin', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 14 }), texts => {
      const collector = feed(texts, 4)
      for (let feature = 0; feature < features; feature++) {
        const all = peaks(texts, feature)
        const counts = collector.reservoirs.counts(feature)
        for (let bin = 0; bin < counts.length; bin++) {
          expect(counts[bin]).toBe(all.filter(peak => logBin(peak.activation) === bin).length)
        }
        const quantiles = shown(collector, feature, 'quantile')
        const contents = collector
          .examples(feature)
          .map(({ window, position }) => JSON.stringify([Array.from(window.tokens), position - window.start]))
        expect(new Set(contents).size).toBe(contents.length)
        for (const { rank: _, ...example } of quantiles) expect(all).toContainEqual(example)
      }
    }),
  )
})

test('the result does not depend on the cut into batches, and the seed moves only the quantile examples', () => {
  const texts = fc.sample(text, { numRuns: 40, seed: 7 })
  const of = (collector: ReturnType<typeof feed>, kind: 'top' | 'quantile') =>
    Array.from({ length: features }, (_, feature) => shown(collector, feature, kind))
  expect(of(feed(texts, 1), 'quantile')).toEqual(of(feed(texts, 7), 'quantile'))
  expect(of(feed(texts, 3, 2), 'top')).toEqual(of(feed(texts, 3, 1), 'top'))
  const seeds = [1, 2, 3, 4, 5].map(seed => JSON.stringify(of(feed(texts, 3, seed), 'quantile')))
  expect(new Set(seeds).size).toBeGreaterThan(1)
})

test('a value that is no activation stops the extraction', () => {
  const collector = createCollector({ features: 2, contextSize: 2, seed: 0 })
  const add = (value: number) =>
    collector.add({
      contexts: 1,
      firstContext: 0,
      ids: Int32Array.of(1, 2),
      mask: Uint8Array.of(0, 1),
      hits: evenHits({ k: 1, index: [0, 1], value: [0, value] }),
    })
  for (const bad of [Number.NaN, -1, Infinity]) expect(() => add(bad)).toThrow(/token 1 of the batch/)
})

test('a masked token may hold anything', () => {
  const collector = createCollector({ features: 2, contextSize: 2, seed: 0 })
  collector.add({
    contexts: 1,
    firstContext: 0,
    ids: Int32Array.of(1, 2),
    mask: Uint8Array.of(0, 1),
    hits: evenHits({ k: 1, index: [0, 1], value: [Number.NaN, 2] }),
  })
  expect(collector.statistics.of(0).fired).toBe(0)
  expect(collector.examples(1)[0].window.activations).toEqual(Float32Array.of(0, 2))
})

test('mix32 maps distinct small numbers to distinct, spread values', () => {
  const values = Array.from({ length: 4096 }, (_, i) => mix32(i))
  expect(new Set(values).size).toBe(4096)
  const high = values.filter(value => value < 0).length
  expect(Math.abs(high - 2048)).toBeLessThan(200)
})

// The folder of an extraction: extraction.json, features.parquet, examples.parquet, written as a unit.
import { rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { writeDirectoryAtomic } from '@mistudio/files'
import { hookLabel, type SaeFile } from '@mistudio/sae'
import type { CollectedExample, Collector } from '../collect/collector.ts'
import { logBins } from '../collect/statistics.ts'
import type { WindowShape } from '../collect/windows.ts'
import type { FeatureLogits } from '../logits.ts'
import { type ExampleOrigin, type PlacedExample, type TokenTexts, writeExamples } from './examples.ts'
import { type FeatureSummary, writeFeatures } from './features.ts'
import { readability, readabilityDefinition } from './readability.ts'

export const extractionFormat = 'mistudio extraction'
export const extractionVersion = 1

/** The origin of the features in extraction.json. Paths are passed absolute and stored relative. */
export type ExtractionOrigin = {
  sae: Pick<SaeFile, 'dir' | 'hooks' | 'shape' | 'architecture' | 'family'> & {
    /** Latents per token for TopK; null if their number varies. */
    k: number | null
  }
  model: { dir: string; name: string }
  stores: { dir: string; name: string }[]
  split: string
  /** Tokens read, masked ones included. */
  tokensRead: number
  contexts: number
  contextSize: number
  seed: number
  /** False if it was stopped before the end of its text. */
  complete: boolean
  window: WindowShape
  quantilesPerBin: number
}

/** The result of `extractFeatures`, and the main part of extraction.json. */
export type ExtractionSummary = {
  path: string
  hook_point: string
  /** Latents of the SAE. */
  features: number
  /** Latents that fired at least once. */
  features_alive: number
  /** Unmasked tokens behind density, mean and histogram. */
  tokens: number
  contexts: number
  features_in_heap: number
  heap_examples_count: number
  quantile_examples_count: number
  complete: boolean
}

export async function writeExtraction(options: {
  out: string
  origin: ExtractionOrigin
  collector: Collector
  originOf: (example: CollectedExample) => ExampleOrigin
  texts: TokenTexts
  logits?: FeatureLogits
  /** Called for each feature, in order, as its examples are written. */
  onFeature?(feature: number): void
}): Promise<ExtractionSummary> {
  const { origin, collector, originOf, texts, logits, onFeature } = options
  const out = resolve(options.out)
  const { features } = collector
  let summary: ExtractionSummary | undefined
  await writeDirectoryAtomic({
    path: out,
    async write(folder) {
      const spillFolder = join(folder, '.spill')
      const summaries: ExampleSummary[] = []
      const counts = await writeExamples({
        path: join(folder, 'examples.parquet'),
        features,
        examplesOf: collector.examples,
        windows: collector.windows(),
        originOf,
        texts,
        onFeature(feature, examples) {
          onFeature?.(feature)
          const { density } = collector.statistics.of(feature)
          summaries.push(summarise({ examples, capacity: collector.heap.capacity, density }))
        },
        spillFolder,
      })
      await writeFeatures({
        path: join(folder, 'features.parquet'),
        features,
        summaryOf: feature => ({
          statistics: collector.statistics.of(feature),
          peakHistogram: collector.reservoirs.counts(feature),
          ...summaries[feature],
        }),
        logits,
        textOf: texts.one,
        spillFolder,
      })
      rmSync(spillFolder, { recursive: true, force: true })
      summary = {
        path: out,
        hook_point: hookLabel(origin.sae.hooks),
        features,
        features_alive: collector.statistics.alive(),
        tokens: collector.statistics.tokens(),
        contexts: origin.contexts,
        ...collector.getStats(),
        quantile_examples_count: counts.quantile,
        complete: origin.complete,
      }
      const record = recordOf({ out, origin, collector, summary, logits })
      writeFileSync(join(folder, 'extraction.json'), `${JSON.stringify(record, null, 2)}\n`)
    },
  })
  return summary!
}

/** The part of a feature's row about its examples. */
type ExampleSummary = Omit<FeatureSummary, 'statistics' | 'peakHistogram'>

function summarise(options: {
  examples: readonly PlacedExample[]
  capacity: number
  density: number | null
}): ExampleSummary {
  const { examples, capacity, density } = options
  const top = examples.filter(({ example }) => example.kind === 'top')
  const peakTokens = top.map(({ example, texts }) => peakText(texts, example.position - example.window.start))
  const documents = top.map(({ origin }) => `${origin.store}/${origin.document}`)
  return {
    topExamples: top.length,
    quantileExamples: examples.length - top.length,
    readability: readability({ peakTokens, documents, capacity, density }),
    peakTokens: commonest(peakTokens, 5),
  }
}

/** The peak's text: that of the whole piece if tokens split a character. */
function peakText(texts: string[], peak: number): string {
  let at = peak
  while (at > 0 && texts[at] === '') at--
  return texts[at]
}

function commonest(texts: readonly string[], count: number): string[] {
  const times = new Map<string, number>()
  for (const text of texts) times.set(text, (times.get(text) ?? 0) + 1)
  return [...times]
    .sort((a, b) => b[1] - a[1])
    .slice(0, count)
    .map(([text]) => text)
}

function recordOf(options: {
  out: string
  origin: ExtractionOrigin
  collector: Collector
  summary: ExtractionSummary
  logits?: FeatureLogits
}) {
  const { out, origin, collector, summary, logits } = options
  const { path: _, ...counts } = summary
  // Relative and with '/', so that a data folder can be moved to another place or system.
  const portable = (dir: string) => relative(out, resolve(dir)).split(sep).join('/')
  const { sae, model, stores } = origin
  return {
    format: extractionFormat,
    format_version: extractionVersion,
    ...counts,
    sae: {
      path: portable(sae.dir),
      architecture: sae.architecture,
      family: sae.family,
      inputs: sae.hooks.inputs.map(({ hook }) => hook),
      outputs: sae.hooks.outputs.map(({ hook }) => hook),
      d_in: sae.shape.dIn,
      d_sae: sae.shape.dSae,
      d_out: sae.shape.dOut,
      k: sae.k,
    },
    model: { path: portable(model.dir), name: model.name },
    stores: stores.map(({ dir, name }) => ({ path: portable(dir), name })),
    split: origin.split,
    tokens_read: origin.tokensRead,
    context_size: origin.contextSize,
    seed: origin.seed,
    examples_per_feature: collector.heap.capacity,
    quantiles_per_bin: origin.quantilesPerBin,
    window: { before: origin.window.before, after: origin.window.after },
    histogram_bins: {
      min_exponent: logBins.minExponent,
      max_exponent: logBins.maxExponent,
      count: logBins.count,
    },
    logits_per_side: logits?.count ?? null,
    definitions,
  }
}

const definitions = {
  tokens:
    'tokens counted: all but the first of each context and special tokens (masked); tokens_read has those as well',
  density: 'fired / tokens; fired: tokens with an activation above 0',
  mean: 'mean of the activations above 0',
  histogram:
    'fired tokens by activation: bin 0 below 2^min_exponent, then one bin for each power of two [2^e, 2^(e+1)), the last bin from 2^max_exponent up; peak_histogram: contexts by the bin of their largest activation',
  top_examples:
    'the contexts with the largest peaks, one example a context; of equal peaks the one read first; the same window (tokens and place of the peak) only once, with its largest peak',
  quantile_examples:
    'for each power of two a seeded uniform sample of the contexts whose peak lies in it (reservoirs, one pass), without windows shown already; not counted in features_in_heap and heap_examples_count',
  window: 'tokens before and after the peak, cut at the ends of context and document; masked tokens show 0',
  logits:
    'direct logit effect W_U · (γ ⊙ d): decoder row d (centred for LayerNorm; of a cross-layer transcoder the sum over the layers it writes to), final norm weight γ, unembedding W_U; without the norm’s division by its scale and without later layers; null where the hook is not in the residual stream',
  readability: readabilityDefinition,
}

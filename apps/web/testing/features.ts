// Features of the finished extraction, made from a seed, so that they are the same every time.
import { type FeatureDetail, type FeatureExample, type FeatureItem, featureIdOf } from '@mistudio/contract'
import { datasets, doneExtraction, modelName, saes } from './world.ts'

const text =
  'In the beginning God created the heaven and the earth . And the earth was without form , and void ; and darkness ' +
  'was upon the face of the deep . And the Spirit of God moved upon the face of the waters . And God said , Let there ' +
  'be light : and there was light . And God saw the light , that it was good : and God divided the light from the ' +
  'darkness .\n A query plan is chosen by the planner , which estimates the cost of each join order from statistics kept ' +
  'for every column .\n'
const words = text.split(/(?= )/)

export const featureCount = doneExtraction.features ?? 0

/** 0 to 1, the same for the same two numbers. */
export function noise(a: number, b: number): number {
  let hash = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 7, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32
}

function summaryOf(feature: number): FeatureItem {
  const dead = noise(feature, 1) < 0.07
  const peak = words[Math.floor(noise(feature, 2) * words.length)]
  const density = dead ? 0 : 10 ** (-5 + 3.2 * noise(feature, 3))
  const at = words.indexOf(peak)
  return {
    id: featureIdOf({ extractionId: doneExtraction.id, feature }),
    extraction_id: doneExtraction.id,
    feature,
    fired: Math.round(density * 260_096),
    density,
    max: dead ? null : 2 + 14 * noise(feature, 4),
    mean: dead ? null : 1 + noise(feature, 5),
    readability: dead ? 0 : noise(feature, 6) ** 2,
    top_examples: dead ? 0 : 20,
    peak_tokens: dead ? [] : [peak, ` ${peak.trim().toUpperCase()}`].slice(0, 1 + (feature % 2)),
    top_tokens: dead ? null : [peak],
    nlp_summary: dead ? null : `Fires on “${peak.trim()}”, mostly a noun, often after “the”.`,
    snippet: dead
      ? null
      : {
          before: words.slice(Math.max(0, at - 12), at).join(''),
          peak,
          after: words.slice(at + 1, at + 10).join(''),
        },
  }
}

export const features: FeatureItem[] = Array.from({ length: featureCount }, (_, i) => summaryOf(i))

export function detailOf(feature: FeatureItem): FeatureDetail {
  const counted = (items: string[]) =>
    items.map((item, i) => ({ text: item, count: 14 - 3 * i, share: (14 - 3 * i) / 20 }))
  const peak = feature.peak_tokens[0]?.trim() ?? ''
  const logits = (sign: number) =>
    words.slice(5, 15).map((word, i) => ({ token_id: 100 + i, text: word, logit: sign * (3.1 - 0.22 * i) }))
  return {
    ...feature,
    sae_id: doneExtraction.sae_id,
    sae_name: saes[0].name,
    model_name: modelName,
    hook_point: doneExtraction.hook_point,
    dataset_names: doneExtraction.dataset_names,
    split: 'train',
    tokens: doneExtraction.tokens,
    histogram: Array.from({ length: 34 }, (_, i) => ({
      low: i === 0 ? 0 : 2 ** (i - 17),
      high: i === 33 ? null : 2 ** (i - 16),
      tokens: feature.max === null || i < 14 || i > 20 ? 0 : Math.round(40 * noise(feature.feature, i)),
    })),
    top_logits: logits(1),
    bottom_logits: logits(-1),
    nlp:
      feature.nlp_summary === null
        ? null
        : {
            examples: 20,
            summary: feature.nlp_summary,
            peak_words: counted([peak, peak.toUpperCase()]),
            parts_of_speech: counted(['NOUN', 'VERB', 'ADP']),
            words: counted(['earth', 'light', 'deep', 'waters']),
            bigrams: counted(['the earth', 'of the', 'the light']),
            trigrams: counted(['upon the face', 'and God said']),
            before: counted(['the', 'of', 'and']),
            after: counted([',', 'and']),
          },
    examples:
      feature.top_examples === 0 ? [] : [...exampleList(feature, 'top'), ...exampleList(feature, 'quantile')],
  }
}

function exampleList(feature: FeatureItem, kind: FeatureExample['kind']): FeatureExample[] {
  return Array.from({ length: kind === 'top' ? 20 : 8 }, (_, rank) => {
    const start = Math.floor(noise(feature.feature, rank + 30) * (words.length - 41))
    const peak = (feature.max ?? 1) * (kind === 'top' ? 1 - 0.02 * rank : 0.7 ** (rank + 1))
    const activations = Array.from({ length: 41 }, (_, i) =>
      i === 24 ? peak : noise(feature.feature + rank, i) > 0.85 ? peak * noise(rank, i) : 0,
    )
    return {
      kind,
      rank,
      peak_activation: peak,
      dataset: datasets[0].name,
      document: 12 * rank,
      source_row: 12 * rank,
      context: 80 * rank + feature.feature,
      position: 64,
      peak_index: 24,
      token_texts: words.slice(start, start + 41),
      activations,
    }
  })
}

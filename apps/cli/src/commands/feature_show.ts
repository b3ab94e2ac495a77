// `mistudio feature show`: the features of an extraction in a list, or one feature with its examples.
import type { Example, Feature, FeatureOrder, FeatureWithExamples } from '@mistudio/feature'
import { defineCommand } from '../frame/command.ts'
import { count, figure, pairs, percent, table, visible } from '../frame/output.ts'
import { presentExamples } from './shared/present_examples.ts'

const orders = ['readability', 'density', 'max', 'feature'] as const satisfies FeatureOrder[]

type Shown = {
  extraction: {
    path: string
    hook_point: string
    model: string
    split: string
    tokens: number
    features: number
    features_alive: number
  }
  features?: Feature[]
  feature?: FeatureWithExamples
}

export const featureShow = defineCommand({
  name: 'feature show',
  summary: 'list the features of an extraction, or show one with its examples',
  options: {
    extraction: { kind: 'path', value: 'DIR', required: true, help: 'folder of the extraction' },
    feature: { kind: 'integer', value: 'N', min: 0, help: 'the feature to show (default: a list)' },
    sort: {
      kind: 'text',
      value: 'ORDER',
      choices: orders,
      default: 'readability',
      help: 'order of the list',
    },
    limit: { kind: 'integer', value: 'N', min: 1, max: 1_000_000, default: 30, help: 'features of the list' },
  },
  spec: ({ extraction, feature, sort, limit }) => ({
    dir: extraction,
    number: feature,
    sortBy: orders.find(order => order === sort) ?? orders[0],
    limit,
  }),
  async job({ dir, number, sortBy, limit }): Promise<Shown> {
    const { openExtraction } = await import('@mistudio/feature')
    const opened = await openExtraction({ dir })
    try {
      const { hookPoint, modelName, split, tokens, features, featuresAlive } = opened.info
      const extraction = {
        path: opened.dir,
        hook_point: hookPoint,
        model: modelName,
        split,
        tokens,
        features,
        features_alive: featuresAlive,
      }
      return number === undefined
        ? { extraction, features: await opened.features({ sortBy, limit }) }
        : { extraction, feature: await opened.feature(number) }
    } finally {
      opened.close()
    }
  },
  async present({ extraction: e, features = [], feature }) {
    const source = `${e.hook_point} of ${e.model}, ${count(e.tokens)} tokens (${e.split})`
    if (feature !== undefined) return presentOne(feature, source)
    return [
      `${source}: ${count(e.features_alive)} of ${count(e.features)} features fired`,
      '',
      table({
        head: ['feature', 'density', 'max', 'readability', 'peaks at', 'promotes'],
        rows: features.map(rowOf),
      }),
    ].join('\n')
  },
})

const quoted = (texts: readonly string[] | null, most: number) =>
  texts === null
    ? '–'
    : texts
        .slice(0, most)
        .map(text => `"${visible(text)}"`)
        .join(' ')

const rowOf = (f: Feature): string[] => [
  String(f.feature),
  percent(f.density),
  figure(f.max),
  figure(f.readability),
  quoted(f.peak_tokens, 3),
  quoted(f.top_tokens, 3),
]

async function presentOne(f: FeatureWithExamples, source: string): Promise<string> {
  const part = async (title: string, examples: readonly Example[]) =>
    examples.length === 0 ? [] : ['', title, await presentExamples(examples)]
  return [
    pairs([
      ['feature', `${f.feature} of ${source}`],
      ['fires on', `${count(f.fired)} tokens, ${percent(f.density)}`],
      ['activation', `mean ${figure(f.mean)}, maximum ${figure(f.max)}`],
      ['peaks at', quoted(f.peak_tokens, 5)],
      ['promotes', quoted(f.top_tokens, 10)],
      ['suppresses', quoted(f.bottom_tokens, 10)],
    ]),
    ...(await part('Top examples', f.top)),
    ...(await part('Examples from each power of two of the activation', f.quantile)),
  ].join('\n')
}

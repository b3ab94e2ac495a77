// `mistudio model info`: what a model folder holds, and which hook points it offers.
import { defineCommand } from '../frame/command.ts'
import { count, pairs } from '../frame/output.ts'
import { shared } from './shared/options.ts'

export const modelInfo = defineCommand({
  name: 'model info',
  summary: 'describe a language model and its hook points',
  options: { model: shared.model },
  spec: ({ model }) => ({ model }),
  async job({ model: dir }) {
    const { openModel } = await import('@mistudio/model')
    const model = await openModel({ dir })
    const { config, shapes } = model
    const attention = shapes.layers.map(layer => layer.attention)
    return {
      name: model.name,
      path: model.dir,
      architecture: config.kind,
      n_layers: config.nLayers,
      d_model: config.dModel,
      n_heads: ofLayers(attention.map(layer => layer?.heads ?? null)),
      n_key_value_heads: ofLayers(attention.map(layer => layer?.kvHeads ?? null)),
      d_head: ofLayers(attention.map(layer => layer?.dHead ?? null)),
      d_mlp: ofLayers(shapes.layers.map(({ dMlp }) => dMlp)),
      n_ctx: config.nCtx,
      vocab_size: config.vocabSize,
      tied_embeddings: shapes.embedding === shapes.unembed.weight,
      eos_token_id: config.eosTokenId,
      bos_token_id: config.bosTokenId,
      parameters: model.parameters,
      dtypes: model.storedDtypes,
      hook_points: model.hooks.map(({ name, width }) => ({ name, width })),
    }
  },
  present: info =>
    [
      pairs([
        ['model', `${info.name} (${info.architecture})`],
        ['folder', info.path],
        ['parameters', `${count(info.parameters)}, stored as ${info.dtypes.join(', ')}`],
        ['layers', count(info.n_layers)],
        ['width', count(info.d_model)],
        [
          'heads',
          `${shown(info.n_heads)} of ${shown(info.d_head)}, ${shown(info.n_key_value_heads)} for keys and values`,
        ],
        ['MLP width', shown(info.d_mlp)],
        [
          'vocabulary',
          `${count(info.vocab_size)}, unembedding ${info.tied_embeddings ? 'tied' : 'of its own'}`,
        ],
        ['context', `${count(info.n_ctx)} tokens`],
      ]),
      '',
      `Hook points (i from 0 to ${info.n_layers - 1}):`,
      ...hookLines(info.hook_points, info.n_layers),
    ].join('\n'),
})

type OfLayers = number | null | (number | null)[]

/** What all layers have; where they differ a list, null for a layer without. */
function ofLayers(values: (number | null)[]): OfLayers {
  return values.every(value => value === values[0]) ? values[0] : values
}

const shown = (value: OfLayers): string => (Array.isArray(value) ? value.map(count).join(' ') : count(value))

/** A line for each name and width; layers are named where not all have it. */
function hookLines(points: readonly { name: string; width: number }[], nLayers: number): string[] {
  const lines = new Map<string, string[]>()
  for (const { name, width } of points) {
    const layer = /^blocks\.(\d+)\./.exec(name)?.[1]
    const line = `  ${name.replace(/^blocks\.\d+\./, 'blocks.{i}.')}  [${width}]`
    lines.set(line, [...(lines.get(line) ?? []), ...(layer === undefined ? [] : [layer])])
  }
  return Array.from(lines, ([line, layers]) =>
    layers.length === 0 || layers.length === nLayers ? line : `${line}  i = ${layers.join(', ')}`,
  )
}

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
    const { config } = model
    return {
      name: model.name,
      path: model.dir,
      architecture: config.kind,
      n_layers: config.nLayers,
      d_model: config.dModel,
      n_heads: config.nHeads,
      n_key_value_heads: config.nKvHeads,
      d_head: config.dHead,
      d_mlp: config.dMlp,
      n_ctx: config.nCtx,
      vocab_size: config.vocabSize,
      tied_embeddings: config.tiedEmbeddings,
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
        ['heads', `${info.n_heads} of ${info.d_head}, ${info.n_key_value_heads} for keys and values`],
        ['MLP width', count(info.d_mlp)],
        [
          'vocabulary',
          `${count(info.vocab_size)}, unembedding ${info.tied_embeddings ? 'tied' : 'of its own'}`,
        ],
        ['context', `${count(info.n_ctx)} tokens`],
      ]),
      '',
      `Hook points (i from 0 to ${info.n_layers - 1}):`,
      ...info.hook_points
        .filter(({ name }) => !/^blocks\.[1-9]/.test(name))
        .map(({ name, width }) => `  ${name.replace('blocks.0.', 'blocks.{i}.')}  [${width}]`),
    ].join('\n'),
})

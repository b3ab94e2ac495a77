// `mistudio sae cache`: the activations that a training would capture, on disk, to train from many times.
import { resolve } from 'node:path'
import { withWorkerPool } from '@mistudio/tensor'
import { defineCommand, type Stopped } from '../frame/command.ts'
import { writableFolder } from '../frame/data_folder.ts'
import { bytes, count, pairs } from '../frame/output.ts'
import { datasetWeights, modelFolders } from './shared/capture_options.ts'
import { shared } from './shared/options.ts'

export const saeCache = defineCommand({
  name: 'sae cache',
  summary: "write a model's activations to disk, to train SAEs from them",
  details:
    'OUT holds shards of safetensors, each the unmasked tokens of one window of training in their seeded order, and an\n' +
    'index. `sae train --cached OUT` with the same seed gives the bits that capturing gives. Ctrl-C or a crash lose the\n' +
    'shard that is being written: the same command goes on behind the last whole one, and with more tokens behind the\n' +
    'last one of all. With several models hook points are MODEL:HOOK, e.g. 0:blocks.2.hook_resid_post. BatchTopK and its\n' +
    'kin calibrate their threshold on 100,000 tokens at the end: a smaller cache gives them what it has.',
  options: {
    model: {
      kind: 'paths',
      value: 'DIR…',
      required: true,
      help: 'folder of the model, or of several with one tokenizer',
    },
    dataset: { kind: 'paths', value: 'DIR…', required: true, help: 'token stores' },
    hook: { kind: 'texts', value: 'HOOK,HOOK…', required: true, help: 'hook points' },
    tokens: {
      kind: 'integer',
      value: 'N',
      required: true,
      min: 1,
      help: 'tokens to write; whole activation buffers are',
    },
    out: { kind: 'path', value: 'DIR', required: true, help: 'folder of the cache' },
    dtype: {
      kind: 'text',
      value: 'TYPE',
      default: 'float32',
      choices: ['float32', 'bfloat16'],
      help: 'number type; bfloat16 takes half the room',
    },
    'dataset-weights': {
      kind: 'text',
      value: 'W,W…',
      help: 'share of each dataset (default: every context once)',
    },
    'outlier-norm-multiple': {
      kind: 'number',
      value: 'X',
      min: 0,
      default: 0,
      help: 'leave out tokens with a norm above X times the median; 0: none',
    },
    'window-tokens': {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 1 << 28,
      default: 65_536,
      help: 'tokens of a shard, special ones counted; what fits memory',
    },
    seed: shared.seed,
    threads: shared.threads,
  },
  spec: values => ({
    models: modelFolders(values.model),
    datasets: values.dataset,
    hooks: values.hook,
    tokens: values.tokens,
    out: writableFolder({ path: values.out, field: '--out' }),
    dtype: values.dtype === 'bfloat16' ? ('bfloat16' as const) : ('float32' as const),
    weights: datasetWeights(values['dataset-weights']),
    outlierNormMultiple: values['outlier-norm-multiple'],
    windowTokens: values['window-tokens'],
    seed: values.seed,
    threads: values.threads,
  }),
  async job(spec, context) {
    const { cachedTokensOf, withCapture, writeActivationCache } = await import('@mistudio/capture')
    const { models, datasets, hooks, weights, seed, tokens, out, dtype, threads } = spec
    return await withWorkerPool({ threads }, pool =>
      withCapture({ pool, models, hooks, texts: { stores: datasets, weights, seed } }, async capture => {
        const { source, forward, contextsPerCall, texts } = capture
        const { contextSize } = texts
        const { modelName: model, ...fingerprints } = texts.names()
        if (tokens > source.contexts * contextSize) {
          context.note(
            `the datasets hold ${count(source.contexts * contextSize)} tokens: text comes more than once in the cache`,
          )
        }
        const info = await writeActivationCache({
          pool,
          forward,
          contextsPerCall,
          source,
          tokens,
          out,
          stopped: context.signal.stopped,
          onProgress: ({ tokens: done, tokensAsked, shards }) =>
            context.progress({
              stage: 'caching activations',
              done: Math.min(done, tokensAsked),
              total: tokensAsked,
              unit: 'tokens',
              figures: { shards },
            }),
          origin: {
            model,
            ...fingerprints,
            hooks,
            dtype,
            windowContexts: Math.max(1, Math.floor(spec.windowTokens / contextSize)),
            seed,
            datasets: [...texts.datasets],
            datasetWeights: weights,
            outlierNormMultiple: spec.outlierNormMultiple,
          },
        })
        const written = cachedTokensOf(info)
        const size = dtype === 'bfloat16' ? 2 : 4
        const outliers = info.hooks.map(({ name }, i) => ({
          hook: name,
          outliers: info.shards.reduce((sum, shard) => sum + shard.outliers[i], 0),
        }))
        const result = {
          path: out,
          model: info.model,
          hooks: info.hooks,
          dtype,
          tokens: written,
          shards: info.shards.length,
          bytes: info.hooks.reduce((sum, { width }) => sum + written * width * size, 0),
          datasets: (source.passes?.(info.shards.length * info.windowContexts) ?? []).map((pass, i) => ({
            name: info.datasets[i],
            ...pass,
          })),
          outliers,
        }
        const cached: typeof result & Stopped = result
        if (!info.complete) {
          cached.stopped = { savedTo: resolve(out), how: 'run the same command to go on' }
        }
        return cached
      }),
    )
  },
  present: ({ path, model, hooks, dtype, tokens, shards, bytes: size, datasets, outliers, stopped }) =>
    [
      pairs([
        ['cache', path],
        ['model', model],
        ['hook points', hooks.map(({ name, width }) => `${name} [${count(width)}]`).join(', ')],
        ['tokens', `${count(tokens)} in ${count(shards)} shards, ${dtype}, ${bytes(size)}`],
        ...datasets.map(
          ({ name, contexts, epochs }) =>
            [`from ${name}`, `${count(contexts)} contexts, ${epochs.toFixed(2)} passes`] as const,
        ),
        ...outliers
          .filter(one => one.outliers > 0)
          .map(one => ['outliers', `${count(one.outliers)} at ${one.hook}, left out`] as const),
      ]),
      ...(stopped === undefined ? [] : ['', `Saved in ${stopped.savedTo}; ${stopped.how}.`]),
    ].join('\n'),
})

// `mistudio feature extract`: the features of an SAE, or of several from one pass of the model.
import { basename, join, resolve } from 'node:path'
import { withWorkerPool } from '@mistudio/tensor'
import { defineCommand, type Stopped } from '../frame/command.ts'
import { writableFolder } from '../frame/data_folder.ts'
import { UsageError } from '../frame/option_table.ts'
import { count, table } from '../frame/output.ts'
import { monitorExtraction } from './shared/extraction_monitor.ts'
import { shared } from './shared/options.ts'
import { saeFolder } from './shared/sae_folder.ts'

export const featureExtract = defineCommand({
  name: 'feature extract',
  summary: "find what an SAE's features respond to, in one pass over the text",
  details:
    'With several SAEs of one model, each extraction lies in OUT/NAME, NAME being the folder of its SAE. With --events,\n' +
    'extraction:progress comes every two seconds or at each 5 %, whichever is first, then extraction:completed.',
  options: {
    sae: { kind: 'paths', value: 'DIR', required: true, help: 'folder of the SAE, or several' },
    model: shared.model,
    dataset: { kind: 'paths', value: 'DIR…', required: true, help: 'token stores to read' },
    out: { kind: 'path', value: 'DIR', required: true, help: 'folder of the extraction' },
    split: {
      kind: 'text',
      value: 'NAME',
      choices: ['train', 'held_out'],
      default: 'train',
      help: 'documents to read',
    },
    'max-tokens': { kind: 'integer', value: 'N', min: 1, default: 250_000, help: 'tokens to read, at most' },
    examples: {
      kind: 'integer',
      value: 'N',
      min: 1,
      max: 1000,
      default: 20,
      help: 'top examples of each feature',
    },
    seed: shared.seed,
    threads: shared.threads,
  },
  spec: values => {
    const saes = values.sae.map(saeFolder)
    const names = saes.map(dir => basename(resolve(dir)))
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice !== undefined)
      throw new UsageError(`two of the folders of --sae have the name ${twice}; expected: each its own`)
    const out = resolve(values.out)
    writableFolder({ path: saes.length === 1 ? join(out, '..') : out, field: '--out' })
    return {
      saes: saes.map((dir, i) => ({ dir, out: saes.length === 1 ? out : join(out, names[i]) })),
      model: values.model,
      datasets: values.dataset,
      out,
      split: values.split === 'held_out' ? ('held_out' as const) : ('train' as const),
      maxTokens: values['max-tokens'],
      examplesPerFeature: values.examples,
      seed: values.seed,
      threads: values.threads,
    }
  },
  async job({ saes, model: dir, datasets, threads, out, ...options }, context) {
    const { withCapture } = await import('@mistudio/capture')
    const { createProgressBoard, extractFeatures, inputHooks } = await import('@mistudio/feature')
    const { loadSae } = await import('@mistudio/sae')
    const board = createProgressBoard({ buffer: context.board })
    const loaded = saes.map(sae => ({ sae: loadSae({ dir: sae.dir }), out: sae.out }))
    const hooks = inputHooks(loaded.map(({ sae }) => sae))
    const { split } = options
    const request = { models: [dir], hooks, texts: { stores: datasets, split }, tokenizer: true }
    const extractions = await withWorkerPool({ threads }, pool =>
      withCapture({ pool, ...request }, capture =>
        extractFeatures({ ...options, pool, capture, saes: loaded, board, signal: context.signal }),
      ),
    )
    const result: { extractions: typeof extractions } & Stopped = { extractions }
    if (extractions.some(({ complete }) => !complete)) {
      result.stopped = { savedTo: out, how: 'it holds what was read until then' }
    }
    return result
  },
  monitor: ({ out }, onEvent) => monitorExtraction({ id: basename(out), begin: 'now', onEvent }),
  present: ({ extractions, stopped }) =>
    [
      table({
        head: ['hook point', 'features', 'alive', 'tokens', 'examples', 'written to'],
        rows: extractions.map(e => [
          e.hook_point,
          count(e.features),
          count(e.features_alive),
          count(e.tokens),
          count(e.heap_examples_count),
          e.path,
        ]),
      }),
      ...(stopped === undefined ? [] : ['', `Stopped: saved in ${stopped.savedTo}; ${stopped.how}.`]),
    ].join('\n'),
  json: ({ extractions, stopped }) =>
    extractions.length === 1 ? { ...extractions[0], stopped } : { extractions, stopped },
})

// `mistudio model run`: logits and hook values of given tokens, on the engine or on the slow float64 oracle.

import { writeSafetensors } from '@mistudio/files'
import { withWorkerPool } from '@mistudio/tensor'
import { defineCommand } from '../frame/command.ts'
import { writableFile } from '../frame/data_folder.ts'
import { pairs } from '../frame/output.ts'
import { readInputIds } from './shared/input_ids.ts'
import { shared } from './shared/options.ts'

export const modelRun = defineCommand({
  name: 'model run',
  summary: 'run a model on token ids and write its logits and hook values',
  details:
    'FILE.json is {"input_ids": [[…], …]}. The output holds `logits` [lists, tokens, vocabulary] and one tensor\n' +
    '[lists, tokens, width] for each hook point, named by it, all float32. Lists of unequal lengths are padded with\n' +
    'zeros at their end, and `lengths` says where each ends.',
  options: {
    model: shared.model,
    'input-ids': { kind: 'path', value: 'FILE.json', required: true, help: 'token ids to run on' },
    capture: { kind: 'texts', value: 'HOOK,HOOK…|all', required: true, help: 'hook points to write' },
    out: { kind: 'path', value: 'FILE.safetensors', required: true, help: 'file to write' },
    runtime: {
      kind: 'text',
      value: 'NAME',
      choices: ['cpu', 'oracle'],
      default: 'cpu',
      help: 'the engine, or plain TypeScript in float64',
    },
    threads: shared.threads,
  },
  spec: values => ({
    model: values.model,
    inputIds: values['input-ids'],
    captures: values.capture.includes('all') ? ('all' as const) : values.capture,
    out: writableFile({ path: values.out, field: '--out' }),
    runtime: values.runtime === 'oracle' ? ('oracle' as const) : ('cpu' as const),
    threads: values.threads,
  }),
  async job({ model: dir, inputIds: file, captures, out, runtime, threads }) {
    const { openModel, runModel } = await import('@mistudio/model')
    const model = await openModel({ dir })
    const inputIds = readInputIds({ file })
    const began = performance.now()
    const tensors =
      runtime === 'oracle'
        ? await runModel({ model, inputIds, captures, runtime })
        : await withWorkerPool({ threads }, pool => runModel({ model, inputIds, captures, runtime, pool }))
    const seconds = (performance.now() - began) / 1000
    await writeSafetensors({ path: out, tensors })
    return { path: out, runtime, tensors: tensors.map(({ name, shape }) => ({ name, shape })), seconds }
  },
  present: ({ path, tensors }) =>
    pairs([['written', path], ...tensors.map(({ name, shape }) => [name, `[${shape.join(', ')}]`] as const)]),
})

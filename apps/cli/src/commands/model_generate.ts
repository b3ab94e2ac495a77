// `mistudio model generate`: text from a language model, greedy or sampled.
import { InputError } from '@mistudio/files'
import { withWorkerPool } from '@mistudio/tensor'
import { defineCommand } from '../frame/command.ts'
import { UsageError } from '../frame/option_table.ts'
import { readInputIds } from './shared/input_ids.ts'
import { shared } from './shared/options.ts'

export const modelGenerate = defineCommand({
  name: 'model generate',
  summary: 'continue a prompt',
  details:
    'Give --prompt or --input-ids (a file of {"input_ids": [[…]]} with one list). With --json: {"input_ids",\n' +
    '"output_ids", "text"}, where the output ids and the text are the new ones only.',
  options: {
    model: shared.model,
    prompt: { kind: 'text', value: 'TEXT', help: 'text to continue' },
    'input-ids': { kind: 'path', value: 'FILE.json', help: 'token ids to continue' },
    'max-new-tokens': {
      kind: 'integer',
      value: 'N',
      required: true,
      min: 1,
      max: 1_000_000,
      help: 'tokens to add',
    },
    temperature: {
      kind: 'number',
      value: 'T',
      min: 0,
      max: 100,
      default: 0,
      help: '0 takes the likeliest token',
    },
    seed: shared.seed,
    threads: shared.threads,
  },
  spec: values => {
    const { prompt, 'input-ids': file } = values
    if ((prompt === undefined) === (file === undefined)) {
      throw new UsageError('`model generate` needs either --prompt TEXT or --input-ids FILE.json')
    }
    const { model, temperature, seed, threads } = values
    return { model, prompt, file, maxNewTokens: values['max-new-tokens'], temperature, seed, threads }
  },
  async job({ model: dir, prompt, file, threads, ...options }, context) {
    const { generate, openModel } = await import('@mistudio/model')
    const { openTokenizer } = await import('@mistudio/tokenizer')
    const model = await openModel({ dir })
    const tokenizer = openTokenizer({ dir })
    const inputIds = file === undefined ? tokenizer.encode(prompt ?? '').ids : onlyRow(file)
    const stop = new AbortController()
    const { outputIds } = await withWorkerPool({ threads }, pool =>
      generate({
        model,
        pool,
        inputIds,
        ...options,
        signal: stop.signal,
        onToken: () => {
          if (context.signal.stopped()) stop.abort()
        },
      }),
    )
    return {
      input_ids: inputIds,
      output_ids: outputIds,
      text: tokenizer.decode(outputIds),
      prompt: prompt ?? null,
    }
  },
  json: ({ input_ids, output_ids, text }) => ({ input_ids, output_ids, text }),
  present: ({ prompt, text }) => `${prompt ?? ''}${text}`,
})

/** @throws InputError unless the file holds exactly one list */
function onlyRow(file: string): number[] {
  const rows = readInputIds({ file })
  if (rows.length === 1) return rows[0]
  throw new InputError({
    message: 'one prompt at a time',
    file,
    field: 'input_ids',
    found: `${rows.length} lists`,
    expected: 'one list',
  })
}

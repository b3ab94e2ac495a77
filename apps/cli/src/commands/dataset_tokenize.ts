// `mistudio dataset tokenize`: text files to a token store.
import { resolve } from 'node:path'
import { documentSources, textExtensions } from '@mistudio/corpus/sources'
import { defineCommand, StoppedEarly } from '../frame/command.ts'
import { writableFolder } from '../frame/data_folder.ts'
import { bytes, count, pairs } from '../frame/output.ts'
import { shared } from './shared/options.ts'

export const datasetTokenize = defineCommand({
  name: 'dataset tokenize',
  summary: "cut text files into contexts of a model's tokens",
  details:
    `${documentSources.map(({ extensions, summary }) => `${extensions.join(', ')}: ${summary}`).join('\n')}\n` +
    'Documents are separated by the document token of the\n' +
    'model and packed without padding; a share of them, chosen by the hash of their text, is held out from training.',
  options: {
    model: shared.model,
    text: { kind: 'paths', value: 'FILE…', required: true, help: `${textExtensions().join(' and ')} files` },
    context: {
      kind: 'integer',
      value: 'N',
      required: true,
      min: 2,
      max: 1_048_576,
      help: 'tokens of a context',
    },
    out: { kind: 'path', value: 'DIR', required: true, help: 'folder of the token store' },
    'text-field': {
      kind: 'text',
      value: 'NAME',
      default: 'text',
      help: 'field of a document that holds its text, where documents have fields',
    },
    'held-out': {
      kind: 'number',
      value: 'X',
      min: 0,
      max: 0.9999,
      default: 0.1,
      help: 'share of the documents held out',
    },
    'skip-bad-lines': { kind: 'flag', help: 'pass over lines that cannot be used and count them' },
  },
  spec: values => {
    const out = resolve(values.out)
    writableFolder({ path: resolve(out, '..'), field: '--out' })
    return {
      model: values.model,
      files: values.text,
      contextSize: values.context,
      out,
      textField: values['text-field'],
      heldOutFraction: values['held-out'],
      skipBadLines: values['skip-bad-lines'],
    }
  },
  async job({ model, ...options }, context) {
    const { tokenizeFiles } = await import('@mistudio/corpus')
    const { openTokenizer } = await import('@mistudio/tokenizer')
    const tokenizer = openTokenizer({ dir: model })
    const info = await tokenizeFiles({
      ...options,
      tokenizer,
      onProgress({ file, bytesDone, bytesTotal, documents }) {
        if (context.signal.stopped()) throw new StoppedEarly(`stopped: ${options.out} is as it was before`)
        context.progress({
          stage: `tokenizing ${file}`,
          done: bytesDone,
          total: bytesTotal,
          unit: 'bytes',
          figures: { documents: count(documents) },
        })
      },
    })
    const { train, held_out } = info.splits
    const split = ({ documents, tokens, contexts, droppedTokens }: typeof train) => ({
      documents,
      tokens,
      contexts,
      dropped_tokens: droppedTokens,
    })
    return {
      path: options.out,
      context_size: info.contextSize,
      vocab_size: info.vocabSize,
      files: info.files.map(({ path, bytes: size }) => ({ path, bytes: size })),
      bad_lines: info.badLines,
      empty_documents: info.emptyDocuments,
      splits: { train: split(train), held_out: split(held_out) },
    }
  },
  present: ({ path, files, context_size, bad_lines, empty_documents, splits }) =>
    pairs([
      ['token store', path],
      ['text', `${count(files.length)} files, ${bytes(files.reduce((sum, file) => sum + file.bytes, 0))}`],
      ['context', `${count(context_size)} tokens`],
      ...(['train', 'held_out'] as const).map(
        name =>
          [
            name === 'train' ? 'training' : 'held out',
            `${count(splits[name].documents)} documents, ${count(splits[name].tokens)} tokens in ${count(splits[name].contexts)} contexts`,
          ] as const,
      ),
      ...(bad_lines > 0 ? ([['bad lines', `${count(bad_lines)}, passed over`]] as const) : []),
      ...(empty_documents > 0 ? ([['empty documents', `${count(empty_documents)}, left out`]] as const) : []),
    ]),
})

// Tokenize: a text file to a token store.
import { join } from 'node:path'
import { tokenizeFiles } from '@mistudio/corpus'
import { openTokenizer } from '@mistudio/model'
import { throttle, type Work } from './context.ts'

/** Ends a tokenization from inside its progress: it has nothing to keep. */
class Stopped extends Error {}

export const tokenize: Work<'tokenize'> = async (spec, { emit, signal }) => {
  const { tokenizationId, modelDir, file, textField, skipBadLines, contextSize, out } = spec
  const due = throttle(1)
  const info = await tokenizeFiles({
    files: [file],
    tokenizer: openTokenizer({ dir: modelDir }),
    contextSize,
    out: join(out, 'store'),
    textField,
    skipBadLines,
    onProgress({ bytesDone, bytesTotal, documents, tokens }) {
      if (signal.stopped()) throw new Stopped('stopped')
      if (!due(bytesDone >= bytesTotal)) return
      const progress = bytesTotal === 0 ? 1 : bytesDone / bytesTotal
      const data = { tokenization_id: tokenizationId, progress, documents, tokens }
      emit({ event: 'tokenization:progress', data })
    },
  })
  const splitOf = ({ documents, contexts, tokens }: (typeof info.splits)['train']) => ({
    documents,
    contexts,
    tokens,
  })
  const splits = { train: splitOf(info.splits.train), held_out: splitOf(info.splits.held_out) }
  return { kind: 'tokenize', vocabSize: info.vocabSize, splits, badLines: info.badLines }
}

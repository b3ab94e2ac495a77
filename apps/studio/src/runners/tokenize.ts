// Tokenize: a text file to a token store. A stop ends the process (main.ts): there is nothing to keep.
import { join } from 'node:path'
import { tokenizeFiles } from '@mistudio/corpus'
import { openTokenizer } from '@mistudio/tokenizer'
import { progressRule, type Work } from './context.ts'

export const tokenize: Work<'tokenize'> = async (spec, { emit }) => {
  const { tokenizationId, modelDir, file, textField, skipBadLines, contextSize, out } = spec
  const due = progressRule()
  const info = await tokenizeFiles({
    files: [file],
    tokenizer: openTokenizer({ dir: modelDir }),
    contextSize,
    out: join(out, 'store'),
    textField,
    skipBadLines,
    onProgress({ bytesDone, bytesTotal, documents, tokens }) {
      const progress = bytesTotal === 0 ? 1 : bytesDone / bytesTotal
      if (!due(progress)) return
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

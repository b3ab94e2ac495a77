// What cuts a word into tokens. Two kinds exist in language models: BPE and Unigram.

import { createBpe } from './bpe.ts'
import { asObject, type JsonObject, unknownType } from './json.ts'
import { createUnigram } from './unigram.ts'
import type { WordModel } from './word_model.ts'

/** @throws InputError for a type not known */
export function createModel({ tokenizer, file }: { tokenizer: JsonObject; file: string }): WordModel {
  const config = asObject(tokenizer.model, { file, field: 'model' })
  // Old files leave the type out: merges tell BPE.
  const type = config.type ?? (Array.isArray(config.merges) ? 'BPE' : undefined)
  if (type === 'BPE') return createBpe({ config, file })
  if (type === 'Unigram') return createUnigram({ config, file })
  throw unknownType({
    what: 'tokenizer model',
    found: type,
    known: ['BPE', 'Unigram'],
    file,
    field: 'model.type',
  })
}

// The model that splits a word into tokens. Language models use two kinds: BPE and Unigram.

import { createBpe } from './bpe.ts'
import { asObject, type JsonObject, unknownType } from './json.ts'
import { createUnigram } from './unigram.ts'
import type { WordModel } from './word_model.ts'

/** @throws InputError for an unknown type */
export function createModel({ tokenizer, file }: { tokenizer: JsonObject; file: string }): WordModel {
  const config = asObject(tokenizer.model, { file, field: 'model' })
  // Old files omit the type: merges mean BPE.
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

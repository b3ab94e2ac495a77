// Which token separates documents, and which tokens are not text: a model's folder specifies it in three files,
// any of which may be missing.
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import type { AddedToken } from './added_tokens.ts'
import { asTokenId, type JsonObject, readJson } from './json.ts'

export type DocumentTokens = { documentToken: number; specialTokens: Set<number> }
type Options = {
  dir: string
  added: AddedToken[]
  idOf: (content: string) => number | undefined
  vocabSize: number
}

/**
 * The document token: eos, else bos, looked for in config.json, generation_config.json (where eos may be a
 * list: its first) and tokenizer_config.json. Special: added tokens marked so, every eos and every bos.
 *
 * @throws InputError if no file names one, or one is beyond the vocabulary
 */
export function readDocumentTokens({ dir, added, idOf, vocabSize }: Options): DocumentTokens {
  const numbered = ['config.json', 'generation_config.json'].map(name => join(dir, name))
  const files: { file: string; value: JsonObject | null }[] = numbered.map(file => ({
    file,
    value: readJson(file),
  }))
  const names = readJson(join(dir, 'tokenizer_config.json'))
  const unknown: string[] = []
  const idsOf = (kind: 'eos' | 'bos'): number[] => {
    const ids: number[] = []
    for (const { file, value } of files) {
      const field = `${kind}_token_id`
      const found = value?.[field]
      for (const id of Array.isArray(found) ? found : found === null || found === undefined ? [] : [found]) {
        const token = asTokenId(id, { file, field })
        if (token >= vocabSize) {
          const message = 'a special token beyond the vocabulary'
          throw new InputError({ message, file, field, found: String(token), expected: `below ${vocabSize}` })
        }
        ids.push(token)
      }
    }
    const content = contentOf(names?.[`${kind}_token`])
    const id = content === null ? undefined : idOf(content)
    if (id !== undefined) ids.push(id)
    else if (content !== null) unknown.push(content)
    return ids
  }
  const [eos, bos] = [idsOf('eos'), idsOf('bos')]
  const documentToken = [...eos, ...bos][0]
  if (documentToken === undefined) {
    const message = 'no token that separates documents'
    const found = unknown.length === 0 ? 'nothing' : `${unknown.join(', ')}, not in the vocabulary`
    const expected = 'eos_token_id or bos_token_id in config.json, or eos_token in tokenizer_config.json'
    throw new InputError({
      message,
      file: join(dir, 'config.json'),
      field: 'eos_token_id',
      found,
      expected,
    })
  }
  const special = added.filter(token => token.special).map(({ id }) => id)
  return { documentToken, specialTokens: new Set([...special, ...eos, ...bos]) }
}

/** `"</s>"` or `{"content": "</s>"}`. */
function contentOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || !('content' in value)) return null
  return typeof value.content === 'string' ? value.content : null
}

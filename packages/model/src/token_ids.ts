// Token ids come from files and prompts: checked before anything indexes a table with them.
import { InputError } from '@mistudio/files'
import type { ModelConfig } from './config.ts'

/**
 * @param field name of the ids, for the message
 * @throws InputError for an empty list, an id outside the vocabulary, or more ids than `longest`
 */
export function checkTokenIds(options: {
  ids: readonly unknown[]
  config: ModelConfig
  field: string
  longest?: number
}): void {
  const { ids, config, field, longest = config.nCtx } = options
  if (ids.length === 0) {
    throw new InputError({
      message: 'there are no tokens',
      field,
      found: 'an empty list',
      expected: 'token ids',
    })
  }
  if (ids.length > longest) {
    throw new InputError({
      message: "the tokens do not fit the model's context",
      field,
      found: `${ids.length} tokens`,
      expected: `at most ${longest}`,
    })
  }
  ids.forEach((id, i) => {
    if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 && id < config.vocabSize) return
    throw new InputError({
      message: 'a token id is not in the vocabulary',
      field: `${field}[${i}]`,
      found: JSON.stringify(id),
      expected: `an integer from 0 to ${config.vocabSize - 1}`,
    })
  })
}

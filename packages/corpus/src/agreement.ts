// What several token stores, or several models, must have in common to be used in one training or evaluation.
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import { type TextTokenizer, tokenizerFingerprint } from './text_tokenizer.ts'
import type { TokenStore } from './token_store.ts'

type Stored = Pick<TokenStore, 'dir' | 'contextSize'> & {
  info: Pick<TokenStore['info'], 'tokenizerFingerprint'>
}

/**
 * @returns the tokens of a context
 * @throws InputError naming both stores if they have different tokenizers or context lengths
 */
export function checkStoresAgree(stores: readonly Stored[]): number {
  const [first] = stores
  for (const store of stores) {
    const fail = (message: string, field: string, found: string, expected: string) => {
      const files = `${join(store.dir, 'store.json')}, ${join(first.dir, 'store.json')}`
      throw new InputError({ message, file: files, field, found, expected })
    }
    const found = store.info.tokenizerFingerprint
    const expected = first.info.tokenizerFingerprint
    if (found !== expected) {
      fail(
        'the datasets were tokenized by different tokenizers',
        'tokenizer_fingerprint',
        `${found} in ${store.dir}`,
        `${expected}, as in ${first.dir}; tokenize them with one model's tokenizer`,
      )
    }
    if (store.contextSize !== first.contextSize) {
      fail(
        'the datasets are cut into contexts of different lengths',
        'context_size',
        `${store.contextSize} in ${store.dir}`,
        `${first.contextSize}, as in ${first.dir}`,
      )
    }
  }
  return first.contextSize
}

/**
 * @returns the fingerprint shared by the models' tokenizers (`tokenizerFingerprint`)
 * @throws InputError naming both folders if two models cut text into different tokens
 */
export function checkModelsAgree(models: readonly { dir: string; tokenizer: TextTokenizer }[]): string {
  const [first, ...others] = models.map(({ dir, tokenizer }) => ({
    dir,
    fingerprint: tokenizerFingerprint(tokenizer),
  }))
  for (const { dir, fingerprint } of others) {
    if (fingerprint === first.fingerprint) continue
    throw new InputError({
      message: 'the models have different tokenizers, so they do not see the same tokens',
      file: `${dir}, ${first.dir}`,
      field: 'tokenizer',
      found: `${fingerprint} in ${dir}`,
      expected: `${first.fingerprint}, as in ${first.dir}`,
    })
  }
  return first.fingerprint
}

// Stores and models that may not be read together: both sides are named.
import { expect, test } from 'vitest'
import { byteTokenizer, inputError, makeStore, someTexts, useFolder } from '../testing/corpus_support.ts'
import { checkModelsAgree, checkStoresAgree } from './agreement.ts'

const folder = useFolder()

test('stores of one tokenizer and one context size agree', async () => {
  const one = await makeStore(folder, someTexts(20), { out: folder.path('one') })
  const two = await makeStore(folder, someTexts(30), { out: folder.path('two') })
  expect(checkStoresAgree([one, two])).toBe(16)
  for (const store of [one, two]) store.close()
})

test.each([
  ['tokenizers', { tokenizer: byteTokenizer({ vocabSize: 300 }) }, 'tokenizer_fingerprint'],
  ['context sizes', { contextSize: 8 }, 'context_size'],
])('different %s are refused, both files and both values named', async (_, rest, field) => {
  const one = await makeStore(folder, someTexts(20), { out: folder.path('one') })
  const two = await makeStore(folder, someTexts(20), { out: folder.path('two'), ...rest })
  const { details } = await inputError(() => checkStoresAgree([one, two]))
  expect(details.field).toBe(field)
  for (const name of ['one', 'two']) {
    expect(details.file).toContain(folder.path(name))
    expect(`${details.found} ${details.expected}`).toContain(folder.path(name))
  }
  for (const store of [one, two]) store.close()
})

test('models of one tokenizer agree, others are refused with both folders named', async () => {
  const [one, same, other] = [
    { dir: 'one', tokenizer: byteTokenizer() },
    { dir: 'same', tokenizer: byteTokenizer() },
    { dir: 'other', tokenizer: byteTokenizer({ shift: 1, vocabSize: 258 }) },
  ]
  expect(checkModelsAgree([one, same])).toBe(checkModelsAgree([same]))
  const { details } = await inputError(() => checkModelsAgree([one, same, other]))
  expect(details).toMatchObject({ file: 'other, one', field: 'tokenizer' })
})

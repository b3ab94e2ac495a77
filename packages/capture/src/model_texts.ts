// Language models and the token stores they read, opened together and checked against each other. Every package opens models
// for activations through here, so what must agree (contexts, vocabularies, tokenizers) is checked
// in one place.
import { join } from 'node:path'
import {
  checkModelsAgree,
  checkStoresAgree,
  checkTokenizer,
  openTokenStore,
  type TokenStore,
  tokenizerFingerprint,
} from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import { checkStore, type LanguageModel, modelFingerprint, openModel } from '@mistudio/model'
import { openTokenizer, type Tokenizer } from '@mistudio/tokenizer'

/** What a run records of its models, whether opened or only named by a cache. */
export type ModelNames = {
  /** The names of several models joined by ` + `. */
  readonly modelName: string
  /** SHA-256 in hex, joined the same way. */
  readonly modelFingerprint: string
  readonly tokenizerFingerprint: string
}

export type ModelTexts = {
  /** One, or several over the same tokens. */
  readonly models: readonly LanguageModel[]
  /** The first model's, if requested or if several models had to agree on theirs. */
  readonly tokenizer: Tokenizer | undefined
  readonly stores: readonly TokenStore[]
  /** Tokens of a context. */
  readonly contextSize: number
  /** Names of the token stores. */
  readonly datasets: readonly string[]
  readonly modelName: string
  /** Number of weights of all models. */
  readonly parameters: number
  /** Fingerprints of models and tokenizer; reads a little of every weight file. */
  names(): ModelNames
  close(): void
}

/**
 * Opens models and token stores.
 * @param options.models folders in Hugging Face layout
 * @param options.stores folders of token stores; if none, `contextSize` sets the length of contexts
 * @param options.cacheDir where widened weights are kept; default that of `openModel`
 * @param options.contextSize required context size of the stores
 * @param options.tokenizer opens the model's tokenizer and rejects stores made with another
 * @throws InputError if one does not exist or they do not fit each other: both are named
 */
export async function openModelTexts(options: {
  models: readonly string[]
  stores: readonly string[]
  cacheDir?: string
  contextSize?: number
  tokenizer?: boolean
}): Promise<ModelTexts> {
  const { cacheDir } = options
  const models: LanguageModel[] = []
  const stores: TokenStore[] = []
  const close = () => {
    for (const store of stores) store.close()
    for (const model of models) model.weights.close()
  }
  try {
    for (const dir of options.models) models.push(await openModel({ dir, cacheDir }))
    const tokenizers = openTokenizers({ models, asked: options.tokenizer === true })
    for (const dir of options.stores) stores.push(openTokenStore({ dir }))
    const contextSize = contextSizeOf({ stores, expected: options.contextSize })
    for (const store of stores) {
      for (const model of models) checkStore({ store, model })
      if (options.tokenizer === true) checkTokenizer({ store, tokenizer: tokenizers[0] })
    }
    const modelName = models.map(({ name }) => name).join(' + ')
    return {
      models,
      tokenizer: tokenizers[0],
      stores,
      contextSize,
      datasets: stores.map(({ name }) => name),
      modelName,
      parameters: models.reduce((sum, model) => sum + model.parameters, 0),
      names: () => ({
        modelName,
        modelFingerprint: fingerprintOf(models.map(({ dir }) => dir)),
        tokenizerFingerprint:
          stores[0]?.info.tokenizerFingerprint ??
          tokenizerFingerprint(tokenizers[0] ?? openTokenizer(models[0])),
      }),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** The fingerprints of several models joined. */
export const fingerprintOf = (models: readonly string[]): string =>
  models.map(dir => modelFingerprint({ dir })).join(' + ')

/** @throws InputError if several models cut text into different tokens */
function openTokenizers({
  models,
  asked,
}: {
  models: readonly LanguageModel[]
  asked: boolean
}): Tokenizer[] {
  if (models.length === 1) return asked ? [openTokenizer(models[0])] : []
  const opened = models.map(({ dir }) => ({ dir, tokenizer: openTokenizer({ dir }) }))
  checkModelsAgree(opened)
  return opened.map(({ tokenizer }) => tokenizer)
}

function contextSizeOf(options: { stores: readonly TokenStore[]; expected: number | undefined }): number {
  const { stores, expected } = options
  for (const store of stores) {
    if (expected === undefined || store.contextSize === expected) continue
    throw new InputError({
      message: 'the dataset is cut into contexts of another length',
      file: join(store.dir, 'store.json'),
      field: 'context_size',
      found: String(store.contextSize),
      expected: `${expected}, as requested`,
    })
  }
  if (stores.length > 0) return checkStoresAgree(stores)
  if (expected !== undefined) return expected
  throw new InputError({
    message: 'there is no text to read',
    field: 'stores',
    found: 'none',
    expected: 'a token store',
  })
}

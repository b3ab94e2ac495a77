// Cached activations as a training sees them, in any format (openCachedActivations chooses): hook points, contexts,
// buffers; and the checks of their origin.
import { InputError } from '@mistudio/files'
import type { StoredType, WorkerPool } from '@mistudio/tensor'
import type { ActivationBuffer } from '../buffer/activation_buffer.ts'

export type BufferRequest = {
  pool: WorkerPool
  hooks: readonly string[]
  /** Contexts of a buffer. Our own caches keep the buffers they were written with. */
  contexts: number
  seed: number
  storedDtype?: StoredType
  outlierNormMultiple?: number
}

export interface CachedActivations {
  readonly kind: 'mistudio' | 'saelens'
  readonly dir: string
  readonly hooks: readonly { name: string; width: number }[]
  /** null if the files do not say. */
  readonly model: string | null
  readonly modelFingerprint: string | null
  readonly tokenizerFingerprint: string | null
  readonly datasets: readonly string[]
  /** Tokens of a context. */
  readonly contextSize: number
  /** Contexts and rows of one pass. */
  readonly contexts: number
  readonly tokens: number
  /** @throws InputError for a hook point that is not cached, and for an outlier rule other than the cache's */
  openBuffer(options: BufferRequest): Promise<ActivationBuffer>
  close(): void
}

/**
 * Rejects a cache of another model or without a requested hook point.
 * @throws InputError naming both
 */
export function checkCachedActivations(options: {
  cache: CachedActivations
  hooks?: readonly string[]
  /** The required origin; names are compared unless both fingerprints are known. */
  model?: { name: string; fingerprint?: string }
  /** Of the tokenizer in use. */
  tokenizerFingerprint?: string
}): void {
  const { cache, hooks = [], model, tokenizerFingerprint } = options
  const refuse = (message: string, field: string, found: string, expected: string) =>
    new InputError({ message, file: cache.dir, field, found, expected })
  if (model !== undefined && cache.model !== null) {
    const known = model.fingerprint !== undefined && cache.modelFingerprint !== null
    const same = known ? model.fingerprint === cache.modelFingerprint : model.name === cache.model
    if (!same) {
      const tell = (name: string, fingerprint: string | null | undefined) =>
        known ? `${name} (fingerprint ${fingerprint})` : name
      throw refuse(
        'the cached activations are of another model',
        'model',
        tell(cache.model, cache.modelFingerprint),
        tell(model.name, model.fingerprint),
      )
    }
  }
  const theirs = cache.tokenizerFingerprint
  if (tokenizerFingerprint !== undefined && theirs !== null && theirs !== tokenizerFingerprint) {
    const message = 'the cached activations are of text tokenized by another tokenizer'
    throw refuse(message, 'tokenizer_fingerprint', theirs, tokenizerFingerprint)
  }
  for (const hook of hooks) widthAt(cache, hook)
}

/** Elements per token. @throws InputError naming the requested hook point and the available ones */
export function widthAt(cache: Pick<CachedActivations, 'dir' | 'hooks'>, hook: string): number {
  const found = cache.hooks.find(({ name }) => name === hook)
  if (found !== undefined) return found.width
  throw new InputError({
    message: 'the cached activations are of another hook point',
    file: cache.dir,
    field: 'hook',
    found: hook,
    expected: `one of ${cache.hooks.map(({ name }) => name).join(', ')}`,
  })
}

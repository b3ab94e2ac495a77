// Cached activations in either format: our own (cache/cache_index.ts) and SAELens's (cache/saelens_cache.ts).
import type { WorkerPool } from '@mistudio/tensor'
import type { ActivationBuffer } from '../buffer/activation_buffer.ts'
import { openActivationCache } from './cache_buffer.ts'
import { type BufferRequest, type CachedActivations, widthAt } from './cached.ts'
import { isSaeLensCache, openSaeLensCache } from './saelens_cache.ts'

/**
 * Opens a cache written by `sae cache`, or a folder of cached activations written by SAELens.
 * @param options.maskTokens special tokens, which SAELens caches and our own caches leave out
 * @throws InputError if it is neither, or damaged
 */
export function openCachedActivations(options: {
  dir: string
  maskTokens?: ReadonlySet<number>
}): CachedActivations {
  return isSaeLensCache(options.dir) ? openSaeLensCache(options) : openActivationCache(options)
}

/** Cached activations for the training loop, instead of buffers captured from a model. */
export function cachedSource(options: { pool: WorkerPool; cache: CachedActivations }) {
  const { pool, cache } = options
  return {
    contextSize: cache.contextSize,
    contexts: cache.contexts,
    /** @throws InputError for a hook point that is not cached, naming those that are */
    widthOf: (hook: string): number => widthAt(cache, hook),
    open: (asked: Omit<BufferRequest, 'pool'>): Promise<ActivationBuffer> =>
      cache.openBuffer({ pool, ...asked }),
  }
}

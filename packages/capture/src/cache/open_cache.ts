// Cached activations of either make: our own (cache/cache_index.ts) and SAELens's (cache/saelens_cache.ts).
import type { Lanes } from '@mistudio/tensor'
import type { ActivationWindow } from '../buffer/activation_buffer.ts'
import { openActivationCache } from './cache_buffer.ts'
import { type CachedActivations, type WindowOptions, widthAt } from './cached.ts'
import { isSaeLensCache, openSaeLensCache } from './saelens_cache.ts'

/**
 * Opens a cache written by `sae cache`, or a folder of cached activations written by SAELens.
 * @param options.maskTokens special tokens, which SAELens caches and our own caches leave out
 * @throws InputError for neither of them, and for damaged ones
 */
export function openCachedActivations(options: {
  dir: string
  maskTokens?: ReadonlySet<number>
}): CachedActivations {
  return isSaeLensCache(options.dir) ? openSaeLensCache(options) : openActivationCache(options)
}

/** Cached activations as the training loop takes them: in place of windows captured from a model. */
export function cachedWindows(options: { lanes: Lanes; cache: CachedActivations }) {
  const { lanes, cache } = options
  return {
    contextSize: cache.contextSize,
    contexts: cache.contexts,
    /** @throws InputError for a hook point that is not cached, naming those that are */
    widthOf: (hook: string): number => widthAt(cache, hook),
    open: (asked: Omit<WindowOptions, 'lanes'>): Promise<ActivationWindow> =>
      cache.openWindow({ lanes, ...asked }),
  }
}

// Cached activations of either make: our own (cache/cache_index.ts) and SAELens's (cache/saelens_cache.ts).
import type { CachedActivations } from './activation_source.ts'
import { openActivationCache } from './cache/cache_window.ts'
import { isSaeLensCache, openSaeLensCache } from './cache/saelens_cache.ts'

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

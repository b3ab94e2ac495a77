// The single entry point to activations: computed on demand by models over token stores, or from a cache on disk. Training,
// extraction and evaluation, in the studio, on the command line and in the demo, all use it, so that what holds for
// all activations (fingerprints, masks, the order of contexts) is decided in one place.

import { type SplitName, type TokenSplit, tokenizerFingerprint } from '@mistudio/corpus'
import {
  type Forward as CompiledForward,
  contextsPerCall as callSize,
  compileForward,
  describeModel,
  type LanguageModel,
} from '@mistudio/model'
import type { WorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import { type ActivationSource, liveSource } from './activation_source.ts'
import { type CachedActivations, checkCachedActivations } from './cache/cached.ts'
import { cachedSource, openCachedActivations } from './cache/open_cache.ts'
import { isSaeLensCache } from './cache/saelens_cache.ts'
import { joinForwards, splitModelHooks } from './join_forwards.ts'
import { fingerprintOf, type ModelTexts, openModelTexts } from './model_texts.ts'
import { type ContextSource, drawnContexts, type Forward, shuffledContexts } from './sources.ts'

/** Which contexts are read, and in which order. */
export type Texts = {
  /** Folders of token stores. */
  stores: readonly string[]
  /** Default 'train'. */
  split?: SplitName
  /** Shares of the stores; default null: all of their contexts in one order. */
  weights?: readonly number[] | null
  /** Seed of the order. Default 0. */
  seed?: number
  /** Rejects stores with another. Default: what the stores have. */
  contextSize?: number
  /** Allows arbitrary tokens if the stores hold no text: only for measuring speed. */
  orDrawn?: boolean
}

type Common = {
  pool: WorkerPool
  /** Folders of models; with several, hook points are MODEL:HOOK (join_forwards.ts). */
  models: readonly string[]
  hooks: readonly string[]
}

/** Activations computed by models as they are read. */
export type LiveCapture = {
  readonly kind: 'live'
  readonly texts: ModelTexts
  readonly splits: readonly TokenSplit[]
  /** All contexts of the texts, in a seeded order. */
  readonly source: ContextSource
  /** Whether the tokens are drawn because there is no text. */
  readonly drawn: boolean
  /** One pass with every hook point as an output. */
  readonly forward: Forward
  readonly contextsPerCall: number
  readonly activations: ActivationSource
  readonly modelName: string
  readonly datasets: readonly string[]
  close(): Promise<void>
}

/** Activations read from a cache. */
export type CachedCapture = {
  readonly kind: 'cached'
  readonly cache: CachedActivations
  readonly activations: ActivationSource
  readonly modelName: string
  readonly datasets: readonly string[]
  close(): Promise<void>
}

export type Capture = LiveCapture | CachedCapture

export type LiveRequest = Common & {
  texts: Texts
  /** Where widened weights are kept; default that of `openModel`. */
  cacheDir?: string
  /** Opens the tokenizer too, and rejects stores made with another. */
  tokenizer?: boolean
  /** Contexts of one call of the model. Default: about 1,024 tokens. */
  contextsPerCall?: number
}
export type CachedRequest = Common & { cached: string }

/**
 * Opens a source of activations; close it when done.
 * @throws InputError if something does not exist or does not fit the rest: both are named
 * @example
 * const texts = { stores: ['data/text'], seed: 1 }
 * const hooks = ['blocks.4.hook_resid_post']
 * const capture = await openCapture({ pool, models: ['assets/demo/model'], texts, hooks })
 * const { activations, modelName, datasets } = capture // what `trainSaes` asks for
 * await capture.close()
 */
export async function openCapture(options: LiveRequest): Promise<LiveCapture>
export async function openCapture(options: CachedRequest): Promise<CachedCapture>
export async function openCapture(options: LiveRequest | CachedRequest): Promise<Capture>
export async function openCapture(options: LiveRequest | CachedRequest): Promise<Capture> {
  return 'cached' in options ? openCached(options) : openLive(options)
}

/** Opens a source of activations for as long as `work` runs. */
export async function withCapture<C extends LiveRequest | CachedRequest, T>(
  options: C,
  work: (
    capture: C extends LiveRequest ? LiveCapture : C extends CachedRequest ? CachedCapture : Capture,
  ) => Promise<T>,
): Promise<T> {
  const capture = await openCapture(options)
  try {
    return await work(capture as Parameters<typeof work>[0])
  } finally {
    await capture.close()
  }
}

async function openLive(options: LiveRequest): Promise<LiveCapture> {
  const { pool, hooks, cacheDir, tokenizer } = options
  const { stores, split = 'train', weights = null, seed = 0, contextSize: expected, orDrawn } = options.texts
  const texts = await openModelTexts({
    models: options.models,
    stores,
    cacheDir,
    contextSize: expected,
    tokenizer,
  })
  const { models, contextSize, modelName, datasets } = texts
  try {
    const splits = texts.stores.map(store => store.split(split))
    const drawn = orDrawn === true && splits.every(({ contexts }) => contexts === 0)
    const source = drawn
      ? drawnContexts({ contextSize, vocabSize: models[0].config.vocabSize })
      : shuffledContexts({ splits, contextSize, seed, weights })
    const pass = await compileCapture({ ...options, models, pool, hooks, contextSize })
    const activations = liveSource({ pool, ...pass, source })
    const { forward, contextsPerCall } = pass
    const close = async () => {
      await pass.close()
      texts.close()
    }
    return {
      kind: 'live',
      texts,
      splits,
      source,
      drawn,
      forward,
      contextsPerCall,
      activations,
      modelName,
      datasets,
      close,
    }
  } catch (error) {
    texts.close()
    throw error
  }
}

/**
 * One pass over opened models that ends at the last of the hook points.
 * @param options.contextsPerCall default: about 1,024 tokens
 * @throws InputError for a hook point that a model lacks (lists those it has)
 */
export async function compileCapture(options: {
  models: readonly LanguageModel[]
  pool: WorkerPool
  hooks: readonly string[]
  contextSize: number
  contextsPerCall?: number
}): Promise<{ forward: Forward; contextsPerCall: number; close(): Promise<void> }> {
  const { models, pool, hooks, contextSize, contextsPerCall = callSize(contextSize) } = options
  const captures =
    models.length > 1 ? splitModelHooks({ hooks, models: models.length }) : [[...new Set(hooks)]]
  const compiled: CompiledForward[] = []
  const close = async () => {
    for (const forward of compiled) await forward.close()
  }
  try {
    for (const [i, model] of models.entries()) {
      compiled.push(
        await compileForward({ model, pool, contextsPerCall, contextSize, captures: captures[i] }),
      )
    }
  } catch (error) {
    await close()
    throw error
  }
  const forward = compiled.length > 1 ? joinForwards({ forwards: compiled }) : compiled[0]
  return { forward, contextsPerCall, close }
}

/** Reads the models' fingerprints: a cache of another model is rejected. */
async function openCached({ pool, models, hooks, cached: dir }: CachedRequest): Promise<CachedCapture> {
  const modelName = models.map(model => describeModel({ dir: model }).name).join(' + ')
  const tokenizer = openTokenizer({ dir: models[0] })
  // Our own caches hold no special tokens, SAELens's hold all.
  const maskTokens = isSaeLensCache(dir) ? tokenizer.specialTokens : undefined
  const cache = openCachedActivations({ dir, ...(maskTokens !== undefined && { maskTokens }) })
  const close = async () => cache.close()
  try {
    checkCachedActivations({
      cache,
      hooks,
      model: { name: modelName, fingerprint: fingerprintOf(models) },
      tokenizerFingerprint: tokenizerFingerprint(tokenizer),
    })
  } catch (error) {
    cache.close()
    throw error
  }
  return {
    kind: 'cached',
    cache,
    activations: cachedSource({ pool, cache }),
    modelName,
    datasets: cache.datasets,
    close,
  }
}

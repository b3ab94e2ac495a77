// Where a training's activations come from: captured as it goes, or read from disk. The training loop opens a window
// of either and never asks which.
import { InputError, type Lanes, type StoredType } from '@mistudio/tensor'
import type { ContextSource, DatasetPass, Forward } from './sources.ts'
import { type ActivationWindow, createActivationWindow } from './window.ts'

export type WindowOptions = {
  lanes: Lanes
  hooks: readonly string[]
  /** Contexts of a window. Cached activations keep the windows they were written in. */
  contexts: number
  seed: number
  storedDtype?: StoredType
  outlierNormMultiple?: number
}

export interface ActivationSource {
  readonly hooks: readonly { name: string; width: number }[]
  /** Tokens of a context. */
  readonly contextSize: number
  /** Contexts of one pass. */
  readonly contexts: number
  /** @throws InputError for a hook point that it has not */
  openWindow(options: WindowOptions): Promise<ActivationWindow>
  /** What was read of each dataset before window `index`; absent where a cache does not know. */
  passes?(index: number, contextsOfWindow: number): DatasetPass[]
}

/** Activations from disk: what they are of, as far as the files tell. */
export interface CachedActivations extends ActivationSource {
  readonly dir: string
  readonly kind: 'mistudio' | 'saelens'
  /** null where the files do not say. */
  readonly model: string | null
  readonly modelFingerprint: string | null
  readonly tokenizerFingerprint: string | null
  readonly datasets: readonly string[]
  /** Rows of one pass. */
  readonly tokens: number
  close(): void
}

/** A model's own: every window is captured. */
export function capturedActivations(options: {
  forward: Forward
  contextsPerCall: number
  source: ContextSource
}): ActivationSource {
  const { forward, contextsPerCall, source } = options
  return {
    hooks: forward.outputs,
    contextSize: source.contextSize,
    contexts: source.contexts,
    openWindow: window => createActivationWindow({ ...window, forward, contextsPerCall, source }),
    ...(source.passes && {
      passes: (index: number, contexts: number) => source.passes!(index * contexts),
    }),
  }
}

/**
 * Refuses a cache of another model or without a hook point that is asked for.
 * @throws InputError naming both
 */
export function checkCachedActivations(options: {
  cache: CachedActivations
  hooks?: readonly string[]
  /** What the cache must be of; names are compared where a fingerprint is not known on both sides. */
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

/** Elements per token. @throws InputError naming the hook point asked for and those there are */
export function widthAt(source: Pick<ActivationSource, 'hooks'> & { dir?: string }, hook: string): number {
  const found = source.hooks.find(({ name }) => name === hook)
  if (found !== undefined) return found.width
  throw new InputError({
    message:
      source.dir === undefined
        ? 'this hook point is not captured'
        : 'the cached activations are of another hook point',
    ...(source.dir !== undefined && { file: source.dir }),
    field: 'hook',
    found: hook,
    expected: `one of ${source.hooks.map(({ name }) => name).join(', ')}`,
  })
}

// Where a run's activations come from: captured from a model over text, or read from a cache. The loop asks for windows
// and knows no more.
import type { Lanes, StoredType } from '@mistudio/tensor'
import { type ActivationWindow, createActivationWindow } from './buffer/activation_buffer.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'

export type WindowSource = {
  readonly contextSize: number
  /** Contexts of one pass over the text. */
  readonly contexts: number
  /** @throws when there is no such hook point */
  widthOf(hook: string): number
  open(options: {
    hooks: readonly string[]
    /** Contexts of one window. */
    contexts: number
    seed: number
    storedDtype: StoredType
    outlierNormMultiple: number
  }): Promise<ActivationWindow>
}

/** Windows captured from a compiled forward pass that has every hook point as an output. */
export function captureWindows(options: {
  lanes: Lanes
  forward: Forward
  contextsPerCall: number
  source: ContextSource
}): WindowSource {
  const { forward, source } = options
  return {
    contextSize: source.contextSize,
    contexts: source.contexts,
    widthOf: hook => widthOf(forward, hook),
    open: asked => createActivationWindow({ ...options, ...asked }),
  }
}

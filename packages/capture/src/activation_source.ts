// Where a run's activations come from: captured from a model over text, or read from a cache. The training loop
// sees only buffers.
import type { StoredType, WorkerPool } from '@mistudio/tensor'
import { type ActivationBuffer, createActivationBuffer } from './buffer/activation_buffer.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'

export type ActivationSource = {
  readonly contextSize: number
  /** Contexts of one pass over the text. */
  readonly contexts: number
  /** @throws if there is no such hook point */
  widthOf(hook: string): number
  open(options: {
    hooks: readonly string[]
    /** Contexts of one buffer. */
    contexts: number
    seed: number
    storedDtype: StoredType
    outlierNormMultiple: number
  }): Promise<ActivationBuffer>
}

/** Buffers captured from a compiled forward pass that has every hook point as an output. */
export function liveSource(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  source: ContextSource
}): ActivationSource {
  const { forward, source } = options
  return {
    contextSize: source.contextSize,
    contexts: source.contexts,
    widthOf: hook => widthOf(forward, hook),
    open: asked => createActivationBuffer({ ...options, ...asked }),
  }
}

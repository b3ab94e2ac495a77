// What training and evaluation need from the rooms above them: contexts of tokens in an order, and a model's
// forward pass on the lanes. Structural types, so that tests can put numbers there without a language model.
import type { TokenSplit } from '@mistudio/corpus'
import { contextOrder } from '@mistudio/corpus'
import { InputError, type Place, type Task } from '@mistudio/tensor'

/** A compiled forward pass (packages/model, compileForward) and the contexts of each of its calls. */
export type Forward = {
  readonly outputs: readonly { name: string; width: number }[]
  /** Places: `input_ids` int32 [contexts, contextSize] and one float32 [contexts · contextSize, width] a port. */
  tasks(options: { contexts: number; places: Record<string, Place> }): Task[]
}

/** Contexts by position; `read` fills `count` contexts from position `first`. */
export type ContextSource = {
  readonly contextSize: number
  /** Contexts of one pass over the text. */
  readonly contexts: number
  read(options: { first: number; count: number; ids: Int32Array; mask: Uint8Array }): void
}

/**
 * The contexts of several splits in a seeded random order, epoch after epoch. Which context stands at a position
 * is a pure function of (seed, position).
 * @throws InputError when there is no context
 */
export function shuffledContexts(options: {
  splits: readonly TokenSplit[]
  contextSize: number
  seed: number
}): ContextSource {
  const { splits, contextSize, seed } = options
  const counts = splits.map(split => split.contexts)
  const contexts = counts.reduce((sum, count) => sum + count, 0)
  if (contexts === 0) {
    throw new InputError({
      message: 'the datasets hold no text to train on',
      field: 'contexts',
      found: '0',
      expected: 'at least 1',
    })
  }
  let order = contextOrder({ counts, seed, epoch: 0 })
  let orderEpoch = 0
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let i = 0; i < count; i++) {
        const epoch = Math.floor((first + i) / contexts)
        if (epoch !== orderEpoch) {
          order = contextOrder({ counts, seed, epoch })
          orderEpoch = epoch
        }
        const { store, context } = order.at((first + i) % contexts)
        readOne(splits[store], context, i)
      }
      function readOne(split: TokenSplit, context: number, i: number) {
        const from = i * contextSize
        split.readContext(
          context,
          ids.subarray(from, from + contextSize),
          mask.subarray(from, from + contextSize),
        )
      }
    },
  }
}

/** The contexts of several splits one after another, as they lie on disk. */
export function contextsInOrder(options: {
  splits: readonly TokenSplit[]
  contextSize: number
}): ContextSource {
  const { splits, contextSize } = options
  const contexts = splits.reduce((sum, split) => sum + split.contexts, 0)
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let i = 0; i < count; i++) {
        let context = first + i
        let store = 0
        while (context >= splits[store].contexts) context -= splits[store++].contexts
        const from = i * contextSize
        splits[store].readContext(
          context,
          ids.subarray(from, from + contextSize),
          mask.subarray(from, from + contextSize),
        )
      }
    },
  }
}

/** Elements per token of a forward pass's output. */
export function widthOf(forward: Forward, port: string): number {
  const found = forward.outputs.find(({ name }) => name === port)
  if (found === undefined) throw new Error(`the forward pass has no output ${port}`)
  return found.width
}

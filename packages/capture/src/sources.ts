// What training and evaluation need from other packages: contexts of tokens in an order, and a model's
// forward pass on the worker pool. Structural types, so that tests can supply numbers without a language model.
import { contextOrder, mixtureOrder, type TokenSplit } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import type { Place, Task } from '@mistudio/tensor'

/** A compiled forward pass (packages/model, compileForward) and the contexts of each of its calls. */
export type Forward = {
  readonly outputs: readonly { name: string; width: number }[]
  /** Places: `input_ids` int32 [contexts, contextSize] and one float32 [contexts · contextSize, width] per port. */
  tasks(options: { contexts: number; places: Record<string, Place> }): Task[]
}

/** What was read of one dataset. */
export type DatasetPass = { contexts: number; epochs: number }

/** Contexts by position; `read` fills `count` contexts from position `first`. */
export type ContextSource = {
  readonly contextSize: number
  /** Contexts of all datasets together, each counted once. */
  readonly contexts: number
  read(options: { first: number; count: number; ids: Int32Array; mask: Uint8Array }): void
  /** Where the context at a position is, for messages. */
  locate?(position: number): { file?: string; context: number }
  /** Contexts of each dataset among the positions before `position`, and how many passes over it that makes. */
  passes?(position: number): DatasetPass[]
}

/**
 * The contexts of several splits in a seeded random order, epoch after epoch: all of them in one order, or, with
 * weights, each dataset with its share of the positions and its own epochs. The context at a position is a
 * pure function of (weights, seed, position).
 * @throws InputError if there is no context, and for unusable weights (names `dataset_weights`)
 */
export function shuffledContexts(options: {
  splits: readonly TokenSplit[]
  contextSize: number
  seed: number
  /** One positive number per split; only their ratios count. Default: every context equally often. */
  weights?: readonly number[] | null
}): ContextSource {
  const { splits, contextSize, seed, weights = null } = options
  const counts = splits.map(split => split.contexts)
  const contexts = counts.reduce((sum, count) => sum + count, 0)
  if (contexts === 0 || (weights !== null && counts.includes(0))) {
    throw new InputError({
      message: 'the datasets hold no text to train on',
      field: 'contexts',
      found: '0',
      expected: 'at least 1',
    })
  }
  const { at, readBefore } =
    weights === null ? concatenated({ counts, seed }) : mixtureOrder({ counts, weights, seed })
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let i = 0; i < count; i++) {
        const { store, context } = at(first + i)
        readInto({ split: splits[store], contextSize, context, i, ids, mask })
      }
    },
    locate(position) {
      const { store, context } = at(position)
      return { file: splits[store].path, context }
    },
    passes: position =>
      readBefore(position).map((read, store) => ({ contexts: read, epochs: read / counts[store] })),
  }
}

/** All contexts in one order. */
function concatenated({ counts, seed }: { counts: readonly number[]; seed: number }) {
  const length = counts.reduce((sum, count) => sum + count, 0)
  let order = contextOrder({ counts, seed, epoch: 0 })
  let orderEpoch = 0
  const at = (position: number) => {
    const epoch = Math.floor(position / length)
    if (epoch !== orderEpoch) {
      order = contextOrder({ counts, seed, epoch })
      orderEpoch = epoch
    }
    return order.at(position % length)
  }
  const readBefore = (position: number) => {
    const epoch = Math.floor(position / length)
    const read = counts.map(count => count * epoch)
    for (let p = epoch * length; p < position; p++) read[at(p).store]++
    return read
  }
  return { at, readBefore }
}

/** The contexts of several splits one after another, in disk order. */
export function contextsInOrder(options: {
  splits: readonly TokenSplit[]
  contextSize: number
}): ContextSource {
  const { splits, contextSize } = options
  const contexts = splits.reduce((sum, split) => sum + split.contexts, 0)
  const at = (position: number) => {
    let context = position
    let store = 0
    while (context >= splits[store].contexts) context -= splits[store++].contexts
    return { split: splits[store], context }
  }
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let i = 0; i < count; i++) readInto({ ...at(first + i), contextSize, i, ids, mask })
    },
    locate(position) {
      const { split, context } = at(position)
      return { file: split.path, context }
    },
  }
}

function readInto(options: {
  split: TokenSplit
  contextSize: number
  context: number
  i: number
  ids: Int32Array
  mask: Uint8Array
}): void {
  const { split, contextSize, context, i, ids, mask } = options
  const from = i * contextSize
  split.readContext(context, ids.subarray(from, from + contextSize), mask.subarray(from, from + contextSize))
}

/** Arbitrary tokens, the same in every call: a model's speed does not depend on the text. */
export function drawnContexts(options: { contextSize: number; vocabSize: number }): ContextSource {
  const { contextSize, vocabSize } = options
  return {
    contextSize,
    contexts: 1024,
    read({ first, ids, mask }) {
      mask.fill(1)
      for (let i = 0; i < ids.length; i++) {
        ids[i] = (Math.imul(first * contextSize + i + 1, 0x9e3779b1) >>> 0) % vocabSize
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

// The text of an extraction: contexts of one split of several token stores in one seeded order, so that the first
// n of them are a fair sample of all stores. The collector identifies a context by its position
// in this order.
import { contextOrder, type DocumentSpan, type SplitName, type TokenStore } from '@mistudio/corpus'
import { InputError } from '@mistudio/files'
import type { Span } from '../collect/windows.ts'
import type { ExampleOrigin } from '../files/examples.ts'

export type TextSource = {
  readonly contextSize: number
  /** Contexts that the extraction reads. */
  readonly contexts: number
  /** Fills ids and mask [count, contextSize] with the contexts from position `first`. */
  read(options: { first: number; count: number; ids: Int32Array; mask: Uint8Array }): void
  /** The documents of a context, by its position in the order. */
  documentsOf(position: number): readonly Span[]
  /** Where a token is in the stores. */
  originOf(options: { context: number; position: number }): ExampleOrigin
}

const contextsRemembered = 16_384

/**
 * @param options.maxTokens tokens to read, masked ones included, rounded up to whole contexts; less if the
 * stores hold less
 * @throws InputError for no stores, stores of different context sizes, or maxTokens below 1
 */
export function openTextSource(options: {
  stores: readonly TokenStore[]
  split: SplitName
  seed: number
  maxTokens: number
}): TextSource {
  const { stores, split, seed, maxTokens } = options
  const contextSize = checkStores(stores)
  if (!(maxTokens >= 1)) {
    throw new InputError({
      message: 'an extraction needs text',
      field: 'max_tokens',
      found: String(maxTokens),
      expected: 'at least 1',
    })
  }
  const splits = stores.map(store => store.split(split))
  const order = contextOrder({ counts: splits.map(({ contexts }) => contexts), seed, epoch: 0 })
  const contexts = Math.min(order.length, Math.ceil(maxTokens / contextSize))
  // The examples of one context ask for this repeatedly; bounded, so that memory does not grow with the text.
  const known = new Map<number, DocumentSpan[]>()
  function documentsOf(position: number): DocumentSpan[] {
    const found = known.get(position)
    if (found !== undefined) return found
    if (known.size >= contextsRemembered) known.clear()
    const { store, context } = order.at(position)
    const spans = splits[store].documentsOf(context)
    known.set(position, spans)
    return spans
  }
  return {
    contextSize,
    contexts,
    read({ first, count, ids, mask }) {
      for (let i = 0; i < count; i++) {
        const { store, context } = order.at(first + i)
        const from = i * contextSize
        const to = from + contextSize
        splits[store].readContext(context, ids.subarray(from, to), mask.subarray(from, to))
      }
    },
    documentsOf,
    originOf({ context: number, position }) {
      const { store, context } = order.at(number)
      const spans = documentsOf(number)
      const span = spans.find(({ start, end }) => position >= start && position < end) ?? spans[0]
      const { document, sourceFile, sourceRow } = span
      return { store: stores[store].name, context, document, sourceFile, sourceRow }
    },
  }
}

function checkStores(stores: readonly TokenStore[]): number {
  if (stores.length === 0) {
    throw new InputError({
      message: 'an extraction needs text',
      field: 'stores',
      found: 'none',
      expected: 'a token store',
    })
  }
  const [{ contextSize }] = stores
  for (const store of stores) {
    if (store.contextSize === contextSize) continue
    throw new InputError({
      message: 'the token stores of one extraction must have the same context size',
      file: store.dir,
      field: 'context_size',
      found: String(store.contextSize),
      expected: `${contextSize}, as in ${stores[0].dir}`,
    })
  }
  return contextSize
}

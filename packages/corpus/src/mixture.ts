// Datasets mixed by weight: which context of which store is at a position, a pure function of (weights, seed, position)
// without state. Positions come in blocks; how many of a block's places each store has follows from the
// cumulated weights, rounded, so the shares are exact in the long run and within two contexts of it at every block's end;
// a seeded permutation spreads them over the block. Each store is read in its own order, epoch
// after epoch, so a small store with a large weight repeats more often.
import { InputError } from '@mistudio/files'
import { permutation } from './order.ts'

/** Positions of one block: a weight below this share of the sum might never be read. */
export const mixtureBlock = 1024

export type MixtureOrder = {
  at(position: number): { store: number; context: number; epoch: number }
  /** Contexts of each store among the positions before `position`. */
  readBefore(position: number): number[]
}

/**
 * @param options.counts whole contexts of each store, each at least 1
 * @param options.weights any positive numbers, one per store; only their ratios count
 * @throws InputError naming `dataset_weights` if they are not one per store, not positive or too unequal
 */
export function mixtureOrder(options: {
  counts: readonly number[]
  weights: readonly number[]
  seed: number
}): MixtureOrder {
  const { counts, weights, seed } = options
  checkWeights(weights, counts.length)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  // Upper ends of the stores' shares of [0, 1]; the last is exactly 1.
  const ends: number[] = []
  let sum = 0
  for (const weight of weights) {
    sum += weight
    ends.push(sum / total)
  }
  ends[ends.length - 1] = 1
  /** Contexts of all stores up to `store` in the first `blocks` blocks. */
  const upTo = (store: number, blocks: number) =>
    store < 0 ? 0 : Math.floor(blocks * mixtureBlock * ends[store] + 0.5)
  const inBlocks = (store: number, blocks: number) => upTo(store, blocks) - upTo(store - 1, blocks)

  let current: Block | undefined
  const blockAt = (position: number): Block => {
    const block = Math.floor(position / mixtureBlock)
    if (current?.block === block) return current
    const before = counts.map((_, store) => inBlocks(store, block))
    const shares = before.map((read, store) => inBlocks(store, block + 1) - read)
    const { at } = permutation({ length: mixtureBlock, seed, purpose: `mixture block ${block}` })
    const stores = new Int32Array(mixtureBlock)
    const reads = new Float64Array(mixtureBlock)
    const read = [...before]
    for (let place = 0; place < mixtureBlock; place++) {
      let slot = at(place)
      let store = 0
      while (slot >= shares[store]) slot -= shares[store++]
      stores[place] = store
      reads[place] = read[store]++
    }
    current = { block, stores, reads, before }
    return current
  }
  const epochs: ({ epoch: number; at(position: number): number } | undefined)[] = counts.map(() => undefined)

  return {
    at(position) {
      const { stores, reads } = blockAt(position)
      const store = stores[position % mixtureBlock]
      const read = reads[position % mixtureBlock]
      const epoch = Math.floor(read / counts[store])
      let order = epochs[store]
      if (order?.epoch !== epoch) {
        const purpose = `contexts of dataset ${store}, epoch ${epoch}`
        order = { epoch, at: permutation({ length: counts[store], seed, purpose }).at }
        epochs[store] = order
      }
      return { store, context: order.at(read % counts[store]), epoch }
    },
    readBefore(position) {
      const { stores, before } = blockAt(position)
      const read = [...before]
      for (let place = 0; place < position % mixtureBlock; place++) read[stores[place]]++
      return read
    },
  }
}

/** For each place of a block, its store and how many contexts of that store were read before it. */
type Block = { block: number; stores: Int32Array; reads: Float64Array; before: number[] }

/** @throws InputError naming `dataset_weights` */
export function checkWeights(weights: readonly number[], stores: number): void {
  const refuse = (found: string, expected: string) =>
    new InputError({
      message: 'these weights cannot mix the datasets',
      field: 'dataset_weights',
      found,
      expected,
    })
  if (weights.length !== stores) {
    throw refuse(`${weights.length} weights for ${stores} datasets`, 'one weight for each dataset')
  }
  const bad = weights.find(weight => !(Number.isFinite(weight) && weight > 0))
  if (bad !== undefined) throw refuse(String(bad), 'numbers above 0')
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const least = Math.min(...weights)
  if (!Number.isFinite(total) || least / total < 1 / mixtureBlock) {
    throw refuse(`${least} of ${total}`, `each at least 1/${mixtureBlock} of the sum`)
  }
}

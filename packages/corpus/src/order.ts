// The order of training data: a permutation with random access and no state to
// store. A Feistel network is a permutation of the numbers of a given bit length whatever its round function;
// repeating until the value is below the length (cycle walking; Black and Rogaway, "Ciphers with arbitrary
// finite domains", 2002) makes it one of [0, length). The domain is less than twice the length, so under two steps on average.
import { createHash } from 'node:crypto'

const rounds = 8
const maxLength = 2 ** 52

export type Permutation = { length: number; at(position: number): number }

/**
 * A seeded permutation of [0, length): pure in (length, seed, purpose, position), O(1) memory.
 * @param options.purpose distinguishes the permutations of one seed, e.g. 'window 12'
 * @throws RangeError for a length that is not a count below 2^52; `at` for a position outside [0, length)
 */
export function permutation(options: { length: number; seed: number; purpose: string }): Permutation {
  const { length, seed, purpose } = options
  if (!Number.isSafeInteger(length) || length < 0 || length > maxLength) {
    throw new RangeError(`a permutation of ${length} things: expected a count up to 2^52`)
  }
  const keys = roundKeys(seed, purpose)
  let bits = 0
  while (2 ** bits < length) bits++
  // Two halves of at most 26 bits; an odd bit goes to the lower one.
  const high = bits >> 1
  const low = bits - high
  const highMask = 2 ** high - 1
  const lowMask = 2 ** low - 1
  const at = (position: number): number => {
    if (!Number.isSafeInteger(position) || position < 0 || position >= length) {
      throw new RangeError(`position ${position} of a permutation of ${length}`)
    }
    let value = position
    do {
      let a = Math.floor(value / 2 ** low)
      let b = value & lowMask
      for (let round = 0; round < rounds; round += 2) {
        a ^= mix(b, keys[2 * round], keys[2 * round + 1]) & highMask
        b ^= mix(a, keys[2 * round + 2], keys[2 * round + 3]) & lowMask
      }
      value = a * 2 ** low + b
    } while (value >= length)
    return value
  }
  return { length, at }
}

function roundKeys(seed: number, purpose: string): Int32Array {
  const keys = new Int32Array(2 * rounds)
  for (let half = 0; half < 2; half++) {
    const digest = createHash('sha256')
      .update(`mistudio permutation ${half} ${seed} ${purpose}`, 'utf8')
      .digest()
    for (let i = 0; i < 8; i++) keys[8 * half + i] = digest.readInt32LE(4 * i)
  }
  return keys
}

/** Every bit of the result depends on every bit of x and of both keys (MurmurHash3's finaliser, public domain). */
function mix(x: number, key1: number, key2: number): number {
  let h = Math.imul(x ^ key1, 0x9e3779b1)
  h ^= h >>> 15
  h = Math.imul(h + key2, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export type ContextOrder = { length: number; at(position: number): { store: number; context: number } }

/**
 * The contexts of all stores in one seeded order, each exactly once: pure in (counts, seed, epoch, position).
 * @param options.counts whole contexts of each store
 */
export function contextOrder(options: {
  counts: readonly number[]
  seed: number
  epoch: number
}): ContextOrder {
  const { counts, seed, epoch } = options
  const ends: number[] = []
  let length = 0
  for (const count of counts) {
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`${count} contexts in a store`)
    length += count
    ends.push(length)
  }
  const order = permutation({ length, seed, purpose: `contexts of epoch ${epoch}` })
  const at = (position: number) => {
    const flat = order.at(position)
    let store = 0
    while (flat >= ends[store]) store++
    return { store, context: flat - (store === 0 ? 0 : ends[store - 1]) }
  }
  return { length, at }
}

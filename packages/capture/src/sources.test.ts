// Contexts of several datasets in training's order: one after another as one text, or mixed by weight.
import type { TokenSplit } from '@mistudio/corpus'
import { describe, expect, test } from 'vitest'
import { contextsInOrder, shuffledContexts } from './sources.ts'

const contextSize = 4

/** Context i of dataset s is [s, i, 0, 0]. */
const split = (dataset: number, contexts: number): TokenSplit => ({
  path: `dataset ${dataset}`,
  tokens: contexts * contextSize,
  contexts,
  documents: contexts,
  readContext(index, ids, mask) {
    ids.set([dataset, index, 0, 0])
    mask.set([0, 1, 1, 1])
  },
  documentsOf: () => [],
})

const splits = [split(0, 6), split(1, 20)]

function read(source: ReturnType<typeof shuffledContexts>, first: number, count: number) {
  const ids = new Int32Array(count * contextSize)
  source.read({ first, count, ids, mask: new Uint8Array(ids.length) })
  return Array.from({ length: count }, (_, i) => [ids[i * contextSize], ids[i * contextSize + 1]] as const)
}

describe('contexts of several datasets', () => {
  test('by default each comes once an epoch, and what was read of each is counted', () => {
    const source = shuffledContexts({ splits, contextSize, seed: 5 })
    const epoch = read(source, 0, 26).map(String)
    expect(new Set(epoch).size).toBe(26)
    expect(source.passes!(26)).toEqual([
      { contexts: 6, epochs: 1 },
      { contexts: 20, epochs: 1 },
    ])
    const started = read(source, 26, 7).filter(([dataset]) => dataset === 0).length
    expect(source.passes!(33)[0]).toEqual({ contexts: 6 + started, epochs: (6 + started) / 6 })
  })

  test('mixed by weight the small one comes round more often, and its epochs are counted', () => {
    const source = shuffledContexts({ splits, contextSize, seed: 5, weights: [3, 1] })
    const contexts = read(source, 0, 2048)
    const small = contexts.filter(([dataset]) => dataset === 0).length
    expect(small).toBe(1536)
    expect(source.passes!(2048)).toEqual([
      { contexts: 1536, epochs: 256 },
      { contexts: 512, epochs: 25.6 },
    ])
  })

  test('a resume at any position reads on with the same contexts', () => {
    for (const weights of [null, [1, 4]]) {
      const open = () => shuffledContexts({ splits, contextSize, seed: 5, weights })
      const whole = read(open(), 0, 3000)
      for (const first of [1, 700, 1024, 2900])
        expect(read(open(), first, 100)).toEqual(whole.slice(first, first + 100))
    }
  })

  test('a position is found again in its file', () => {
    const source = shuffledContexts({ splits, contextSize, seed: 5, weights: [1, 4] })
    const [[dataset, context]] = read(source, 77, 1)
    expect(source.locate!(77)).toEqual({ file: `dataset ${dataset}`, context })
    expect(contextsInOrder({ splits, contextSize }).locate!(7)).toEqual({ file: 'dataset 1', context: 1 })
  })

  test('in order they come as they lie on disk, from any position', () => {
    const source = contextsInOrder({ splits, contextSize })
    expect(source.contexts).toBe(26)
    expect(read(source, 4, 5)).toEqual([
      [0, 4],
      [0, 5],
      [1, 0],
      [1, 1],
      [1, 2],
    ])
  })

  test('weights need text behind each of them', () => {
    const empty = [split(0, 0), split(1, 20)]
    expect(() => shuffledContexts({ splits: empty, contextSize, seed: 5, weights: [1, 1] })).toThrow(
      /no text/,
    )
    expect(() => shuffledContexts({ splits, contextSize, seed: 5, weights: [1] })).toThrow(/dataset_weights/)
  })
})

// Extraction over real language models: everything is compared with the float64 oracle of model and SAE.

import { fileURLToPath } from 'node:url'
import { openCapture, withCapture } from '@mistudio/capture'
import type { TokenStore } from '@mistudio/corpus'
import { openModel, runModel } from '@mistudio/model'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { byteTokenizer, naiveEncode, randomSae, storeOf, useFolder } from '../../testing/feature_support.ts'
import { openExtraction } from '../files/show.ts'
import { extractFeatures, inputHooks } from './extract.ts'

const contextSize = 24
const vocabSize = 160
const folder = useFolder()
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

/** ASCII as tokens, within the vocabulary of the fixtures. */
const tokenizer = { ...byteTokenizer, vocabSize, documentToken: 159, specialTokens: new Set([159]) }
const words = 'select from where def return In the beginning was noun verb'.split(' ')
const texts = Array.from({ length: 70 }, (_, i) =>
  Array.from({ length: 3 + (i % 5) }, (_, j) => words[(i * 3 + j * 5) % words.length]).join(' '),
)

function readAll(store: TokenStore) {
  const split = store.split('train')
  return Array.from({ length: split.contexts }, (_, context) => {
    const ids = new Int32Array(contextSize)
    const mask = new Uint8Array(contextSize)
    split.readContext(context, ids, mask)
    return { ids: Array.from(ids), mask }
  })
}

for (const kind of ['llama', 'gpt2']) {
  test(`${kind}: two SAEs from one pass agree with the oracle`, async () => {
    const dir = fileURLToPath(new URL(`../../../model/fixtures/${kind}`, import.meta.url))
    const model = await openModel({ dir, cacheDir: folder.path('cache') })
    const store = await storeOf({ dir: folder.path('store'), texts, contextSize, tokenizer })
    const contexts = readAll(store)
    const last = 'blocks.2.hook_resid_post'
    const hooks = [last, 'blocks.1.hook_mlp_out']
    const inputIds = contexts.map(({ ids }) => ids)
    const tensors = await runModel({ model, inputIds, captures: hooks, runtime: 'oracle' })
    const tensor = (name: string) => tensors.find(one => one.name === name)!.data as Float32Array
    const dIn = model.config.dModel
    const saes = hooks.map((hookPoint, i) => ({
      sae: randomSae({ dir: folder.path(`sae${i}`), hookPoint, dIn, dSae: 64, k: 4 }),
      out: folder.path(`out${i}`),
    }))
    // A decoder row equal to the stream at some token: its direct logits are the model's own logits there.
    const residual = tensor(last)
    saes[0].sae.weights.wDec.set(residual.subarray(0, 64 * dIn))

    store.close()
    const summaries = await withCapture(
      {
        pool,
        models: [dir],
        hooks: inputHooks(saes.map(({ sae }) => sae)),
        cacheDir: folder.path('cache'),
        texts: { stores: [store.dir] },
        contextsPerCall: 4,
      },
      capture => extractFeatures({ pool, capture, tokenizer, saes, seed: 3 }),
    )
    const masked = contexts.flatMap(({ mask }) => Array.from(mask))
    for (const [i, { sae, out }] of saes.entries()) {
      const activations = tensor(hooks[i])
      const max = new Array<number>(64).fill(0)
      let fired = 0
      masked.forEach((counted, row) => {
        if (counted === 0) return
        for (const [latent, value] of naiveEncode(sae, activations.subarray(row * dIn, (row + 1) * dIn))) {
          max[latent] = Math.max(max[latent], value)
          fired++
        }
      })
      const extraction = await openExtraction({ dir: out })
      let found = 0
      for (let number = 0; number < 64; number++) {
        const feature = await extraction.feature(number)
        found += feature.fired
        expect(Math.abs((feature.max ?? 0) - max[number])).toBeLessThan(1e-4)
        if (feature.top.length > 0) expect(feature.top[0].peak_activation).toBe(feature.max)
      }
      // A token whose k-th and next values nearly agree may keep either: the number kept is the same.
      expect(Math.abs(found - fired)).toBeLessThanOrEqual(0.01 * fired)
      expect(summaries[i].tokens).toBe(masked.filter(counted => counted === 1).length)
      extraction.close()
    }
    await expectModelLogits(tensor('logits'), saes[0].out, biasLogits())

    /** LayerNorm's bias adds the same to the logits of every token, and is not part of a direction's effect. */
    function biasLogits(): number[] {
      if (kind === 'llama') return new Array<number>(vocabSize).fill(0)
      const bias = model.weights.readF32('transformer.ln_f.bias')
      const unembed = model.weights.readF32('transformer.wte.weight')
      return Array.from({ length: vocabSize }, (_, token) =>
        bias.reduce((sum, value, j) => sum + value * unembed[token * dIn + j], 0),
      )
    }
  })
}

/** Features 0 to 19 point along the stream at tokens 0 to 19: the order of tokens must be the model's. */
async function expectModelLogits(logits: Float32Array, out: string, bias: number[]): Promise<void> {
  const extraction = await openExtraction({ dir: out })
  for (let number = 0; number < 20; number++) {
    const own = Array.from(
      logits.subarray(number * vocabSize, (number + 1) * vocabSize),
      (x, i) => x - bias[i],
    )
    const {
      top_token_ids: top,
      top_logits: values,
      bottom_token_ids: bottom,
    } = await extraction.feature(number)
    const scale = values![0] / own[top![0]]
    expect(scale).toBeGreaterThan(0)
    const sorted = [...own].sort((a, b) => b - a)
    for (let rank = 0; rank < 10; rank++) {
      const tolerance = 1e-4 * Math.abs(sorted[0])
      expect(Math.abs(own[top![rank]] - sorted[rank])).toBeLessThan(tolerance)
      expect(Math.abs(own[bottom![rank]] - sorted[vocabSize - 1 - rank])).toBeLessThan(tolerance)
      expect(Math.abs(values![rank] / scale - sorted[rank])).toBeLessThan(tolerance)
    }
  }
  extraction.close()
}

test('a store of a larger vocabulary than the model’s is refused', async () => {
  const dir = fileURLToPath(new URL('../../../model/fixtures/llama', import.meta.url))
  const made = await storeOf({ dir: folder.path('large'), texts, contextSize })
  made.close()
  const hooks = ['blocks.0.hook_resid_post']
  const large = { stores: [folder.path('large')] }
  await expect(
    openCapture({ pool, models: [dir], hooks, cacheDir: folder.path('cache'), texts: large }),
  ).rejects.toThrow(/field: vocab_size; found: 257; expected: at most 160/)
})

// Extraction of SAEs whose number of firing latents varies, and of those that read or write several hook points: all in
// one pass, compared with a recount by exact inference.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTokenStore } from '@mistudio/corpus'
import type { SaeFile } from '@mistudio/sae'
import { activations, randomSae, type Structure } from '@mistudio/sae/testing/encoder_support.ts'
import { openWorkerPool } from '@mistudio/tensor'
import { expect, test } from 'vitest'
import {
  byteTokenizer,
  lookupForward,
  naiveEncode,
  randomMatrix,
  storeOf,
  useFolder,
} from '../../testing/feature_support.ts'
import { openExtraction } from '../files/show.ts'
import { extractWith } from './extract.ts'

const folder = useFolder()
const contextSize = 16
const contextsPerCall = 2
const widths: Record<string, number> = { 'blocks.0.hook_resid_post': 12, 'blocks.1.hook_resid_post': 9 }

const kinds: [Structure, keyof typeof activations][] = [
  ['sae', 'relu'],
  ['sae', 'jumprelu'],
  ['sae', 'gated'],
  ['transcoder', 'jumprelu'],
  ['skip_transcoder', 'topk'],
  ['crosscoder', 'relu'],
  ['cross_layer_transcoder', 'jumprelu'],
]

test('statistics and examples of every kind of SAE equal a plain recount', async () => {
  const pool = await openWorkerPool({ count: 2 })
  const words = 'some words that repeat and differ in café, 日本 or select from'.split(' ')
  const texts = Array.from({ length: 90 }, (_, i) =>
    Array.from({ length: 3 + (i % 7) }, (_, j) => words[(i * 5 + j * 3) % words.length]).join(' '),
  )
  const made = await storeOf({ dir: folder.path('store'), texts, contextSize })
  made.close()
  const store = openTokenStore({ dir: folder.path('store') })
  const embeddings = Object.fromEntries(
    Object.entries(widths).map(([hook, width]) => [hook, randomMatrix(257 * width, hook)]),
  )
  const forward = await lookupForward({ pool, embeddings, contextsPerCall, contextSize })
  const saes = kinds.map(([structure, kind], i) => {
    // The first fires far more latents than a list initially has room for.
    const random = randomSae({
      structure,
      activation: activations[kind],
      dSae: i === 0 ? 300 : 40,
      bias: i === 0 ? 1 : -0.3,
      normalisation: i === 1 ? 'layer_norm' : 'none',
    })
    const sae: SaeFile = {
      ...random,
      dir: folder.path(`sae ${i}`),
      format: 'none',
      file: 'none',
      config: {},
      architecture: 'any',
      metadata: { modelName: 'lookup', contextSize },
    }
    return { sae, out: folder.path(`out ${i}`) }
  })
  const summaries = await extractWith({
    pool,
    forward,
    contextsPerCall,
    tokenizer: byteTokenizer,
    model: { dir: folder.path('model'), name: 'lookup' },
    stores: [store],
    saes,
    seed: 5,
    examplesPerFeature: 4,
  })
  const split = store.split('train')
  const ids = new Int32Array(contextSize)
  const mask = new Uint8Array(contextSize)
  for (const [i, { sae, out }] of saes.entries()) {
    const { inputs } = sae.hooks
    const ofToken = Array.from({ length: 257 }, (_, id) =>
      naiveEncode(
        sae,
        Float32Array.from(
          inputs.flatMap(({ hook, width }) =>
            Array.from(embeddings[hook].subarray(id * width, (id + 1) * width)),
          ),
        ),
      ),
    )
    const fired = new Float64Array(sae.shape.dSae)
    const max = new Float64Array(sae.shape.dSae)
    let tokens = 0
    let firing = 0
    for (let context = 0; context < split.contexts; context++) {
      split.readContext(context, ids, mask)
      ids.forEach((id, t) => {
        if (mask[t] === 0) return
        tokens++
        for (const [latent, value] of ofToken[id]) {
          firing++
          fired[latent]++
          max[latent] = Math.max(max[latent], value)
        }
      })
    }
    if (i === 0) expect(firing / tokens).toBeGreaterThan(200)
    expect(summaries[i].tokens).toBe(tokens)
    const extraction = await openExtraction({ dir: out })
    const listed = await extraction.features({ limit: 1000 })
    const found = new Map(listed.map(feature => [feature.feature, feature]))
    for (let number = 0; number < sae.shape.dSae; number++) {
      expect([i, number, found.get(number)?.fired ?? 0]).toEqual([i, number, fired[number]])
      expect(Math.abs((found.get(number)?.max ?? 0) - max[number])).toBeLessThan(1e-5)
    }
    for (const { feature: number, max: peak } of listed.slice(0, 5)) {
      expect((await extraction.feature(number)).top[0].peak_activation).toBe(peak)
    }
    extraction.close()
  }
  const record = JSON.parse(readFileSync(join(saes[6].out, 'extraction.json'), 'utf8'))
  expect(record.hook_point).toBe(
    'blocks.0.hook_resid_post + blocks.1.hook_resid_post → blocks.0.hook_mlp_out + blocks.1.hook_mlp_out',
  )
  expect(record.sae).toMatchObject({
    family: 'cross_layer_transcoder',
    inputs: Object.keys(widths),
    d_in: 21,
    d_out: 16,
    k: null,
  })
  await forward.close()
  store.close()
  await pool.close()
})

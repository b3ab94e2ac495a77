import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { openTokenStore } from '@mistudio/corpus'
import type { SaeFile } from '@mistudio/sae'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  byteTokenizer,
  lookupForward,
  naiveEncode,
  randomMatrix,
  randomSae,
  storeOf,
  useFolder,
} from '../../testing/feature_support.ts'
import { storedText } from '../files/duck.ts'
import { openExtraction } from '../files/show.ts'
import { extractWith } from './extract.ts'
import { createProgressBoard } from './progress_board.ts'

const contextSize = 16
const contextsPerCall = 2
const dIn = 8
const hooks = ['blocks.0.hook_resid_post', 'blocks.0.attn.hook_z']
const folder = useFolder()
let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const words = 'naïve Bayes, café, 日本 and the select from where in def return'.split(' ')
const texts = (count: number, salt: number) =>
  Array.from({ length: count }, (_, i) =>
    Array.from(
      { length: 2 + ((i * 7 + salt) % 9) },
      (_, j) => words[(i * 5 + j * (salt + 3)) % words.length],
    ).join(' '),
  )

/** Two stores, two hooks, two SAEs. */
async function extractTwo(
  options: { maxTokens?: number; stopped?: () => boolean; seed?: number; name?: string } = {},
) {
  const { name = 'out', seed = 5, maxTokens = 1e6, stopped } = options
  const stores = [
    await storeOf({ dir: folder.path('a store'), texts: texts(120, 1), contextSize }),
    await storeOf({ dir: folder.path('b'), texts: texts(90, 2), contextSize }),
  ]
  const embeddings = Object.fromEntries(hooks.map(hook => [hook, randomMatrix(257 * dIn, hook)]))
  const forward = await lookupForward({ pool, embeddings, contextsPerCall, contextSize })
  const saes = hooks.map((hookPoint, i) => {
    const sae = randomSae({ dir: folder.path(`sae ${i}`), hookPoint, dIn, dSae: 40, k: 3 + i })
    return { sae, out: folder.path(`${name} ${i}`) }
  })
  const board = createProgressBoard()
  try {
    const summaries = await extractWith({
      pool,
      forward,
      contextsPerCall,
      tokenizer: byteTokenizer,
      model: { dir: folder.path('model'), name: 'lookup' },
      head: () => ({
        unembed: randomMatrix(257 * dIn, 'unembed'),
        gamma: randomMatrix(dIn, 'gamma'),
        centre: false,
      }),
      stores,
      saes,
      maxTokens,
      seed,
      examplesPerFeature: 4,
      board,
      signal: { stopped: stopped ?? (() => false) },
    })
    return { summaries, stores, embeddings, saes, board }
  } finally {
    await forward.close()
    for (const store of stores) store.close()
  }
}

/** Every unmasked activation of every feature, from the stores, in float64. */
function naive(sae: SaeFile, embedding: Float32Array, stores: Awaited<ReturnType<typeof storeOf>>[]) {
  const peaks = Array.from({ length: sae.shape.dSae }, () => [] as number[])
  const fired = new Array<number>(sae.shape.dSae).fill(0)
  let tokens = 0
  const ids = new Int32Array(contextSize)
  const mask = new Uint8Array(contextSize)
  for (const store of stores) {
    const split = store.split('train')
    for (let context = 0; context < split.contexts; context++) {
      split.readContext(context, ids, mask)
      const best = new Map<number, number>()
      ids.forEach((id, i) => {
        if (mask[i] === 0) return
        tokens++
        for (const [latent, value] of naiveEncode(sae, embedding.subarray(id * dIn, (id + 1) * dIn))) {
          fired[latent]++
          best.set(latent, Math.max(best.get(latent) ?? 0, value))
        }
      })
      for (const [latent, value] of best) peaks[latent].push(value)
    }
  }
  return { peaks: peaks.map(list => list.sort((a, b) => b - a)), fired, tokens }
}

test('statistics, examples and counters equal a plain recount; both SAEs come from one pass', async () => {
  const { summaries, saes, embeddings, board } = await extractTwo()
  const stores = ['a store', 'b'].map(name => openTokenStore({ dir: folder.path(name) }))
  let inHeap = 0
  for (const [i, { sae, out }] of saes.entries()) {
    const expected = naive(sae, embeddings[hooks[i]], stores)
    const extraction = await openExtraction({ dir: out })
    expect(summaries[i]).toMatchObject({ path: out, hook_point: hooks[i], features: 40, complete: true })
    expect(summaries[i].tokens).toBe(expected.tokens)
    for (let number = 0; number < 40; number++) {
      const feature = await extraction.feature(number)
      expect(feature.fired).toBe(expected.fired[number])
      expect(feature.density).toBe(expected.fired[number] / expected.tokens)
      expect(feature.histogram.reduce((a, b) => a + b, 0)).toBe(feature.fired)
      expect(feature.peak_histogram.reduce((a, b) => a + b, 0)).toBe(expected.peaks[number].length)
      if (feature.fired > 0) expect(Math.abs(feature.max! - expected.peaks[number][0])).toBeLessThan(1e-5)
      // Windows that repeat are kept once, so the top examples are a selection of the sorted peaks from the first on.
      const shown = feature.top.map(example => example.peak_activation)
      expect(shown).toEqual([...shown].sort((a, b) => b - a))
      if (shown.length > 0) expect(Math.abs(shown[0] - expected.peaks[number][0])).toBeLessThan(1e-5)
      expect(feature.top.length).toBe(feature.top_examples)
      expect(feature.quantile.length).toBe(feature.quantile_examples)
      for (const example of [...feature.top, ...feature.quantile]) {
        const peak = example.position - example.window_start
        expect(example.activations[peak]).toBe(example.peak_activation)
        expect(Math.max(...example.activations)).toBe(example.peak_activation)
        expect(example.token_texts.length).toBe(example.tokens.length)
        const from = example.tokens[peak] * dIn
        const value = naiveEncode(sae, embeddings[hooks[i]].subarray(from, from + dIn)).get(number)
        expect(Math.abs(value! - example.peak_activation)).toBeLessThan(1e-5)
      }
    }
    extraction.close()
    inHeap += summaries[i].heap_examples_count
  }
  expect(board.read()).toMatchObject({
    phase: 'writing',
    heap_examples_count: inHeap,
    features_written: 80,
    features_to_write: 80,
    features_in_heap: summaries[0].features_in_heap + summaries[1].features_in_heap,
    samples_processed: stores.reduce((sum, store) => sum + store.split('train').contexts, 0),
  })
  for (const store of stores) store.close()
})

test('the counters are a recount of the top rows of the Parquet file, and of those alone', async () => {
  const { summaries, saes } = await extractTwo()
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  for (const [i, { out }] of saes.entries()) {
    const result = await connection.runAndReadAll(
      `SELECT kind, count(DISTINCT feature)::INTEGER AS features, count(*)::INTEGER AS examples
       FROM read_parquet($1) GROUP BY kind ORDER BY kind DESC`,
      [join(out, 'examples.parquet')],
    )
    const [top, quantile] = result.getRowObjectsJS()
    const { features_in_heap: features, heap_examples_count: examples } = summaries[i]
    expect(top).toEqual({ kind: 'top', features, examples })
    expect(quantile).toMatchObject({ kind: 'quantile', examples: summaries[i].quantile_examples_count })
    expect(Number(quantile.examples)).toBeGreaterThan(0)
  }
  connection.closeSync()
  instance.closeSync()
})

test('examples name their place: the tokens there are those of the window, inside one document', async () => {
  const { saes } = await extractTwo()
  const stores = new Map(['a store', 'b'].map(name => [name, openTokenStore({ dir: folder.path(name) })]))
  const seen = new Set<string>()
  const extraction = await openExtraction({ dir: saes[0].out })
  const ids = new Int32Array(contextSize)
  const mask = new Uint8Array(contextSize)
  for (let number = 0; number < 40; number++) {
    for (const example of (await extraction.feature(number)).top) {
      seen.add(example.store)
      const split = stores.get(example.store)!.split('train')
      split.readContext(example.context, ids, mask)
      const { window_start: start, tokens } = example
      expect(Array.from(ids.subarray(start, start + tokens.length))).toEqual(tokens)
      const span = split.documentsOf(example.context).find(({ end }) => example.position < end)!
      expect(span).toMatchObject({
        document: example.document,
        sourceFile: example.source_file,
        sourceRow: example.source_row,
      })
      expect(start >= span.start && start + tokens.length <= span.end).toBe(true)
      const text = readFileSync(example.source_file, 'utf8').split('\n')[example.source_row]
      const whole = Buffer.from(tokens.filter(id => id < 256))
      expect(Buffer.from(JSON.parse(text).text, 'utf8').includes(whole)).toBe(true)
    }
  }
  expect([...seen].sort()).toEqual(['a store', 'b'])
  extraction.close()
  for (const store of stores.values()) store.close()
})

test('extraction.json says what it was made of, with relative paths; logits only in the residual stream', async () => {
  const { saes } = await extractTwo({ maxTokens: 900 })
  const record = JSON.parse(readFileSync(join(saes[0].out, 'extraction.json'), 'utf8'))
  expect(record).toMatchObject({
    format: 'mistudio extraction',
    hook_point: hooks[0],
    sae: { path: '../sae 0', d_in: dIn, d_sae: 40, k: 3 },
    model: { path: '../model', name: 'lookup' },
    stores: [
      { path: '../a store', name: 'a store' },
      { path: '../b', name: 'b' },
    ],
    split: 'train',
    contexts: 57,
    tokens_read: 912,
    context_size: 16,
    seed: 5,
    examples_per_feature: 4,
    quantiles_per_bin: 2,
    window: { before: 24, after: 16 },
    complete: true,
  })
  expect(JSON.stringify(record)).not.toContain(folder.path(''))
  expect(readdirSync(saes[0].out).sort()).toEqual(['examples.parquet', 'extraction.json', 'features.parquet'])
  const [residual, inner] = await Promise.all(saes.map(({ out }) => openExtraction({ dir: out })))
  const feature = await residual.feature(0)
  expect(feature.top_tokens?.length).toBe(10)
  expect(feature.top_tokens).toEqual(
    feature.top_token_ids!.map(id => storedText(byteTokenizer.tokenText(id))),
  )
  expect(feature.top_logits).toEqual([...feature.top_logits!].sort((a, b) => b - a))
  expect(feature.bottom_logits).toEqual([...feature.bottom_logits!].sort((a, b) => a - b))
  expect(await inner.feature(0)).toMatchObject({ top_tokens: null, bottom_logits: null })
  residual.close()
  inner.close()
})

test('the same seed gives the same rows, also when the folder is replaced', async () => {
  const read = async (out: string) => {
    const extraction = await openExtraction({ dir: out })
    const features = await extraction.features({ limit: 100 })
    const all = await Promise.all(features.map(({ feature }) => extraction.feature(feature)))
    extraction.close()
    return all
  }
  const { saes } = await extractTwo()
  const first = await read(saes[1].out)
  await extractTwo()
  expect(await read(saes[1].out)).toEqual(first)
  await extractTwo({ maxTokens: 600, seed: 6 })
  expect(await read(saes[1].out)).not.toEqual(first)
})

test('a stopped extraction keeps what it has and says so', async () => {
  const { summaries } = await extractTwo({ stopped: () => true })
  expect(summaries[0]).toMatchObject({ complete: false, tokens: 0, heap_examples_count: 0 })
  const extraction = await openExtraction({ dir: summaries[0].path })
  expect(extraction.info.record.complete).toBe(false)
  expect(await extraction.features()).toEqual([])
  expect(await extraction.feature(3)).toMatchObject({ density: null, fired: 0, top: [], quantile: [] })
  extraction.close()
})

test('an SAE of another width is refused before anything is written', async () => {
  const store = await storeOf({ dir: folder.path('s'), texts: texts(20, 1), contextSize })
  const embeddings = { [hooks[0]]: randomMatrix(257 * dIn, 'x') }
  const forward = await lookupForward({ pool, embeddings, contextsPerCall, contextSize })
  const sae = randomSae({ dir: 'wide', hookPoint: hooks[0], dIn: 4, dSae: 8, k: 2 })
  const common = {
    pool,
    forward,
    contextsPerCall,
    tokenizer: byteTokenizer,
    model: { dir: 'm', name: 'm' },
    saes: [{ sae, out: folder.path('no') }],
    seed: 1,
  }
  await expect(extractWith({ ...common, stores: [store] })).rejects.toThrow(
    /field: d_in at blocks.0.hook_resid_post; found: 4; expected: 8/,
  )
  await expect(extractWith({ ...common, stores: [] })).rejects.toThrow(/field: stores; found: none/)
  await expect(extractWith({ ...common, stores: [store], maxTokens: 0 })).rejects.toThrow(
    /max_tokens; found: 0/,
  )
  const twice = [common.saes[0], { sae, out: folder.path('x/../no') }]
  await expect(extractWith({ ...common, stores: [store], saes: twice })).rejects.toThrow(
    /the same folder; field: out/,
  )
  expect(existsSync(folder.path('no'))).toBe(false)
  await forward.close()
  store.close()
})

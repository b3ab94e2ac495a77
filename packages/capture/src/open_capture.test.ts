// openCapture: models and a cache give the same activations, and a mismatch is refused, naming
// both sides.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tokenizeFiles } from '@mistudio/corpus'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { openTokenizer } from '@mistudio/tokenizer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeActivationCache } from './cache/write_cache.ts'
import { type CachedRequest, type LiveRequest, openCapture, withCapture } from './open_capture.ts'

const demo = fileURLToPath(new URL('../../../assets/demo', import.meta.url))
const model = join(demo, 'model')
const folder = mkdtempSync(join(tmpdir(), 'mistudio-capture-'))
const at = (name: string) => join(folder, name)
const cacheDir = at('widened')
const hook = 'blocks.0.hook_resid_post'
const seed = 5
const contexts = 6
let pool: WorkerPool

async function makeStore(out: string, contextSize: number, lines = 40) {
  const text = readFileSync(join(demo, 'datasets', 'scripture.jsonl'), 'utf8')
  writeFileSync(at('text.jsonl'), `${text.split('\n').slice(0, lines).join('\n')}\n`)
  const tokenizer = openTokenizer({ dir: model })
  await tokenizeFiles({ files: [at('text.jsonl')], tokenizer, contextSize, out })
}

beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  await makeStore(at('store'), 64)
  await makeStore(at('short'), 32)
})
afterAll(async () => {
  await pool.close()
  rmSync(folder, { recursive: true, force: true })
})

const live = (over: Partial<LiveRequest> = {}): LiveRequest => ({
  pool,
  models: [model],
  hooks: [hook],
  cacheDir,
  texts: { stores: [at('store')], seed },
  ...over,
})

/** The sums over the usable tokens of the second buffer. */
async function momentsOf(request: LiveRequest | CachedRequest, of = hook) {
  return await withCapture(request, async ({ activations }) => {
    const open = {
      hooks: request.hooks,
      contexts,
      seed,
      storedDtype: 'float32',
      outlierNormMultiple: 0,
    } as const
    const buffer = await activations.open(open)
    const usable = await buffer.fill(1)
    const moments = buffer.moments(of)
    await buffer.close()
    return { usable, moments }
  })
}

test('a cache gives what the model gives', async () => {
  await withCapture(live(), async ({ source, forward, contextsPerCall, texts }) => {
    const { modelName, ...fingerprints } = texts.names()
    await writeActivationCache({
      ...{ pool, forward, contextsPerCall, source, tokens: 1000, out: at('cache') },
      origin: {
        ...{ model: modelName, ...fingerprints, hooks: [hook], dtype: 'float32', windowContexts: contexts },
        ...{ seed, datasets: [...texts.datasets], datasetWeights: null, outlierNormMultiple: 0 },
      },
    })
  })
  const cached = { pool, models: [model], hooks: [hook], cached: at('cache') }
  const found = await momentsOf(cached)
  expect(found.usable).toBeGreaterThan(300)
  expect(found).toEqual(await momentsOf(live()))
  await withCapture(cached, async capture => {
    expect([capture.kind, capture.modelName, capture.datasets]).toEqual(['cached', 'model', ['store']])
  })
  const other = { ...cached, hooks: ['blocks.1.hook_resid_post'] }
  await expect(openCapture(other)).rejects.toThrow(
    /field: hook; found: blocks.1.hook_resid_post; expected: one of/,
  )
})

test('a cache of another model is refused, by what the files hold and not by their names', async () => {
  const changed = at('changed/model')
  cpSync(model, changed, { recursive: true })
  const config = JSON.parse(readFileSync(join(changed, 'config.json'), 'utf8'))
  writeFileSync(join(changed, 'config.json'), JSON.stringify({ ...config, rms_norm_eps: 1e-3 }))
  const request = { pool, models: [changed], hooks: [hook], cached: at('cache') }
  await expect(openCapture(request)).rejects.toThrow(
    /the cached activations are of another model.*fingerprint/,
  )
})

test('several models read the same tokens, and their hook points carry their number', async () => {
  const both = live({ models: [model, model], hooks: [`0:${hook}`, `1:${hook}`] })
  expect(await momentsOf(both, `1:${hook}`)).toEqual(await momentsOf(live()))
  const joined = await openCapture(both)
  expect(joined.modelName).toBe('model + model')
  expect(joined.texts.parameters).toBe(2 * joined.texts.models[0].parameters)
  await joined.close()
})

test('the same positions hold the same contexts, whatever the seed of another', async () => {
  const idsOf = (seed: number) =>
    withCapture(live({ texts: { stores: [at('store')], seed } }), async ({ source }) => {
      const ids = new Int32Array(64)
      source.read({ first: 3, count: 1, ids, mask: new Uint8Array(64) })
      return Array.from(ids)
    })
  expect(await idsOf(5)).toEqual(await idsOf(5))
  expect(await idsOf(5)).not.toEqual(await idsOf(6))
})

test('without text tokens are drawn where that was asked for, and refused elsewhere', async () => {
  const texts = { stores: [], contextSize: 64, orDrawn: true }
  await withCapture(live({ texts }), async ({ drawn, source }) => {
    expect([drawn, source.contextSize]).toEqual([true, 64])
    const ids = new Int32Array(128)
    source.read({ first: 0, count: 2, ids, mask: new Uint8Array(128) })
    expect(new Set(ids).size).toBeGreaterThan(100)
    expect(Math.max(...ids)).toBeLessThan(8192)
  })
  await withCapture(live({ texts: { stores: [at('store')], orDrawn: true } }), async ({ drawn }) => {
    expect(drawn).toBe(false)
  })
  await expect(openCapture(live({ texts: { stores: [] } }))).rejects.toThrow(/field: stores; found: none/)
})

test('texts that do not fit each other, the request or the tokenizer are refused', async () => {
  const two = live({ texts: { stores: [at('store'), at('short')] } })
  await expect(openCapture(two)).rejects.toThrow(
    /field: context_size; found: 32 in .*short; expected: 64, as in .*store/,
  )
  const asked = live({ texts: { stores: [at('short')], contextSize: 64 } })
  await expect(openCapture(asked)).rejects.toThrow(
    /field: context_size; found: 32; expected: 64, as requested/,
  )

  const info = JSON.parse(readFileSync(join(at('store'), 'store.json'), 'utf8'))
  cpSync(at('store'), at('other'), { recursive: true })
  writeFileSync(
    join(at('other'), 'store.json'),
    JSON.stringify({ ...info, tokenizer_fingerprint: '0'.repeat(64) }),
  )
  const foreign = live({ texts: { stores: [at('other')] }, tokenizer: true })
  await expect(openCapture(foreign)).rejects.toThrow(
    /made with another tokenizer.*field: tokenizer_fingerprint/,
  )
})

// `mistudio sae cache` on the demo model: what it writes, that it goes on, and what does not fit.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openCachedActivations } from '@mistudio/capture'
import { tokenizeFiles } from '@mistudio/corpus'
import { openTokenizer } from '@mistudio/tokenizer'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../..', import.meta.url))
const program = join(root, 'apps/cli/src/main.ts')
const model = join(root, 'assets/demo/model')
const hooks = ['blocks.0.hook_resid_post', 'blocks.1.hook_mlp_out']
const folder = mkdtempSync(join(tmpdir(), 'mistudio-sae-cache-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...words: string[]) => sae('cache', ...words)
const sae = (name: string, ...words: string[]) =>
  spawnSync(process.execPath, [program, 'sae', name, '--json', ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, MISTUDIO_CACHE_DIR: at('cache') },
  })
/** The options of a run, some of them others. */
const command = (more: Record<string, string | string[]> = {}) => {
  const options: Record<string, string | string[]> = {
    model,
    dataset: [at('one'), at('two')],
    tokens: '2000',
    'window-tokens': '1024',
    hook: hooks.join(','),
    out: at('activations'),
    ...more,
  }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, ...[value].flat()])
}

beforeAll(async () => {
  const tokenizer = openTokenizer({ dir: model })
  for (const name of ['one', 'two']) {
    const lines = Array.from({ length: 60 }, (_, i) =>
      JSON.stringify({ text: `Text ${name} ${i}. `.repeat(20) }),
    )
    writeFileSync(at(`${name}.jsonl`), lines.join('\n'))
    await tokenizeFiles({ files: [at(`${name}.jsonl`)], tokenizer, contextSize: 32, out: at(name) })
  }
  const shifted = {
    ...tokenizer,
    encodeIds: (text: string) => Array.from(tokenizer.encodeIds(text)).reverse(),
  }
  await tokenizeFiles({ files: [at('two.jsonl')], tokenizer: shifted, contextSize: 32, out: at('other') })
})

test('writes the tokens asked for, counts the passes of weighted datasets, and does nothing twice', () => {
  const words = command({ 'dataset-weights': '3,1', dtype: 'bfloat16' })
  const { status, stdout, stderr } = run(...words)
  expect({ status, stderr }).toMatchObject({ status: 0 })
  const result = JSON.parse(stdout)
  // Contexts of 32, of which the first token and document tokens are left out: at most 992 a window of 1,024.
  expect(result).toMatchObject({ dtype: 'bfloat16', shards: 3, datasets: [{ name: 'one' }, { name: 'two' }] })
  const [one, two] = result.datasets
  expect(one.contexts + two.contexts).toBe(96)
  expect(one.contexts).toBeGreaterThan(2 * two.contexts)
  const cache = openCachedActivations({ dir: at('activations') })
  expect(cache.hooks.map(({ name }) => name)).toEqual(hooks)
  expect(cache.tokens).toBe(result.tokens)
  expect(cache.tokens).toBeGreaterThanOrEqual(2000)
  cache.close()
  expect(JSON.parse(run(...words).stdout)).toEqual(result)
  const again = run(...command())
  expect(again.status).toBe(1)
  expect(again.stderr).toMatch(/dtype/)
}, 120_000)

const training = (options: Record<string, string | string[]>) =>
  Object.entries({
    'd-sae': '64',
    'batch-size': '128',
    'train-tokens': '2048',
    seed: '0',
    ...options,
  }).flatMap(([name, value]) => [`--${name}`, ...[value].flat()])

test('training from the cache gives the bits that capturing gives', () => {
  const dataset = [at('one'), at('two')]
  expect(run(...command({ tokens: '2500', out: at('float32') })).status).toBe(0)
  const rest = { model, hook: hooks[1], k: '4', set: 'normalisation=expected_average' }
  const ended = [
    sae('train', ...training({ ...rest, dataset, out: at('captured') }), '--set', 'window_tokens=1024'),
    sae(
      'train',
      ...training({ ...rest, cached: at('float32'), out: at('from cache') }),
      '--set',
      'window_tokens=1024',
    ),
  ]
  for (const { status, stderr } of ended) expect({ status, stderr }).toMatchObject({ status: 0 })
  const weights = ended.map(({ stdout }) => {
    const { path } = JSON.parse(stdout).saes[0]
    return readFileSync(join(path, 'sae_weights.safetensors'))
  })
  expect(weights[0].equals(weights[1])).toBe(true)
  const other = sae(
    'train',
    ...training({ ...rest, hook: 'blocks.2.hook_mlp_out', cached: at('float32'), out: at('other hook') }),
  )
  expect(other.status).toBe(1)
  expect(other.stderr).toMatch(
    /another hook point.*float32.*found: blocks.2.hook_mlp_out; expected: one of blocks.0/,
  )
  const both = sae(
    'train',
    ...training({ ...rest, cached: at('float32'), dataset, out: at('contradiction') }),
  )
  expect(both.stderr).toMatch(/--cached and --dataset/)
}, 120_000)

test('caches two models over the same tokens', () => {
  const { stdout, stderr, status } = run(
    ...command({
      model: [model, model],
      hook: `0:${hooks[0]},1:${hooks[1]}`,
      tokens: '900',
      out: at('both'),
    }),
  )
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(JSON.parse(stdout)).toMatchObject({ model: 'model + model' })
  const words = training({
    model: [model, model],
    cached: at('both'),
    family: 'crosscoder',
    hook: `0:${hooks[0]},1:${hooks[1]}`,
    out: at('crosscoder'),
    'train-tokens': '512',
  })
  const trained = sae('train', ...words)
  expect({ status: trained.status, stderr: trained.stderr }).toMatchObject({ status: 0 })
  expect(JSON.parse(trained.stdout).saes).toMatchObject([{ family: 'crosscoder' }])
}, 120_000)

test.each<[string, Record<string, string | string[]>, RegExp]>([
  [
    'datasets of two tokenizers',
    { dataset: ['one', 'other'] },
    /different tokenizers.*other\/store.json.*one\/store.json.*tokenizer_fingerprint/,
  ],
  ['weights for other datasets', { 'dataset-weights': '1,2,3' }, /dataset_weights.*3 weights for 2 datasets/],
  ['a hook point that is not there', { hook: 'blocks.0.hook_q' }, /blocks.0.hook_q/],
])(
  'refuses %s',
  (_, more, message) => {
    const { status, stdout, stderr } = run(...command({ out: at('refused'), ...more }))
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(existsSync(at('refused/activation_cache.json'))).toBe(false)
  },
  60_000,
)

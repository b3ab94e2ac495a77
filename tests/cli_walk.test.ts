// The main job by hand, as the README shows it: text to tokens, tokens to SAEs, SAEs to features, each step a process.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSafetensors, writeSafetensors } from '@mistudio/files'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const model = join(root, 'assets/demo/model')
const folder = mkdtempSync(join(tmpdir(), 'mistudio-walk-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hooks = ['blocks.1.hook_resid_post', 'blocks.1.hook_mlp_out']
const dSae = 256
const k = 8

function mistudio(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/mistudio'), ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, MISTUDIO_CACHE_DIR: at('cache') },
    maxBuffer: 64 * 1024 * 1024,
  })
  return { status, stdout, stderr }
}

/** The one JSON object of a command that must work. */
function json(...words: string[]) {
  const { status, stdout, stderr } = mistudio(...words, '--json')
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

const train = (out: string, ...more: string[]) => [
  'sae',
  'train',
  ...['--model', model, '--dataset', at('store'), '--hook', hooks.join(','), '--d-sae', String(dSae)],
  ...['--k', String(k), '--train-tokens', '20000', '--out', at(out), ...more],
]

/** The steps depend on each other: one test, so that none runs on what an earlier one did not leave. */
describe('the walk', () => {
  it('goes from text to features', async () => {
    const lines = readFileSync(join(root, 'assets/demo/datasets/scripture.jsonl'), 'utf8').split('\n')
    writeFileSync(at('some.jsonl'), `${lines.slice(0, 60).join('\n')}\nnot json\n`)
    const tokenize = ['dataset', 'tokenize', '--model', model, '--text', at('some.jsonl'), '--context', '64']
    const refused = mistudio(...tokenize, '--out', at('store'))
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/some\.jsonl; line: 61/)
    expect(existsSync(at('store'))).toBe(false)

    const store = json(...tokenize, '--out', at('store'), '--skip-bad-lines')
    expect(store).toMatchObject({ context_size: 64, vocab_size: 8192, bad_lines: 1 })
    const { train: training, held_out } = store.splits
    expect(training.documents + held_out.documents).toBe(60)
    expect(held_out.documents).toBeGreaterThan(0)

    const trained = json(...train('run'))
    expect(trained).toMatchObject({ status: 'completed', tokens: 20_480 })
    expect(trained.saes.map((sae: { hook_point: string }) => sae.hook_point)).toEqual(hooks)
    expect(readdirSync(at('run')).sort()).toEqual([...hooks, 'training.json'].sort())
    const again = mistudio(...train('run'))
    expect(again.status).toBe(1)
    expect(again.stderr).toContain('--resume')
    expect(json(...train('run', '--resume')).tokens).toBe(20_480)

    const sae = join(at('run'), hooks[0])
    const several = mistudio('sae', 'encode', '--sae', at('run'), '--activations', at('x'), '--out', at('f'))
    expect(several.stderr).toContain('this folder holds several SAEs')
    const evaluation = json('sae', 'evaluate', '--sae', sae, '--model', model, '--dataset', at('store'))
    expect(evaluation).toMatchObject({ hook_point: hooks[0], d_sae: dSae, k, split: 'held_out' })
    expect(evaluation.fvu).toBeGreaterThan(0)
    expect(evaluation.fvu).toBeLessThan(1)
    expect(evaluation.l0).toBeLessThanOrEqual(k)
    expect(evaluation.ce_clean).toBeLessThan(evaluation.ce_spliced)
    expect(evaluation.ce_spliced).toBeLessThan(evaluation.ce_zero)
    expect(evaluation.delta_ce).toBeCloseTo(evaluation.ce_spliced - evaluation.ce_clean, 9)

    compare()
    await encode(sae)
    extract(sae)
  }, 300_000)
})

/** Both SAEs of the training on the same documents: line by line, paired, and as a frontier with its chart. */
function compare(): void {
  const few = ['--max-tokens', '4096', '--ce-tokens', '2048']
  const words = ['--sae', at('run'), '--model', model, '--dataset', at('store'), '--svg', at('frontier.svg')]
  const compared = json('sae', 'compare', ...words, ...few)
  expect(compared.saes.map(({ name }: { name: string }) => name).sort()).toEqual([...hooks].sort())
  const [first, second] = compared.saes
  expect(compared.paired).toHaveLength(1)
  const { mean, low, high, against } = compared.paired[0]
  expect(against).toBe(first.name)
  expect(mean).toBeCloseTo(second.delta_ce - first.delta_ce, 6)
  expect(low).toBeLessThanOrEqual(mean)
  expect(high).toBeGreaterThanOrEqual(mean)
  expect(compared.frontier).toHaveLength(2)
  expect(readFileSync(at('frontier.svg'), 'utf8')).toContain(first.name)
}

/** What `sae encode` writes adds up: k latents at most, and the reconstruction is the decoder of what fires. */
async function encode(sae: string): Promise<void> {
  const rows = 5
  const dIn = 256
  const data = Float32Array.from({ length: rows * dIn }, (_, i) => 30 * Math.sin(i * i))
  await writeSafetensors({
    path: at('x.safetensors'),
    tensors: [{ name: 'activations', dtype: 'F32', shape: [rows, dIn], data }],
  })
  json('sae', 'encode', '--sae', sae, '--activations', at('x.safetensors'), '--out', at('f.safetensors'))
  const encoded = openSafetensors(at('f.safetensors'))
  const weights = openSafetensors(join(sae, 'sae_weights.safetensors'))
  const acts = encoded.readF32('feature_acts')
  const reconstruction = encoded.readF32('reconstruction')
  const wDec = weights.readF32('W_dec')
  const bDec = weights.readF32('b_dec')
  encoded.close()
  weights.close()
  expect(acts.length).toBe(rows * dSae)
  const scale = Math.max(...reconstruction.map(Math.abs))
  for (let r = 0; r < rows; r++) {
    const row = acts.subarray(r * dSae, (r + 1) * dSae)
    const firing = row.filter(value => value > 0).length
    expect(firing).toBeGreaterThan(0)
    expect(firing).toBeLessThanOrEqual(k)
    for (let j = 0; j < dIn; j++) {
      let sum = bDec[j]
      for (let i = 0; i < dSae; i++) sum += row[i] * wDec[i * dIn + j]
      expect(Math.abs(sum - reconstruction[r * dIn + j])).toBeLessThan(1e-5 * scale)
    }
  }
}

function extract(sae: string): void {
  const words = ['--sae', sae, '--model', model, '--dataset', at('store'), '--out', at('features')]
  const { status, stdout, stderr } = mistudio(
    'feature',
    'extract',
    ...words,
    '--max-tokens',
    '20000',
    '--events',
  )
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
  const events = stdout
    .trim()
    .split('\n')
    .map(text => JSON.parse(text))
  expect(events[0]).toMatchObject({ channel: 'extraction/features', event: 'extraction:progress' })
  expect(events.at(-1)).toMatchObject({
    event: 'extraction:completed',
    data: { status: 'completed', progress: 1 },
  })
  const { features_in_heap } = events.at(-1).data
  expect(features_in_heap).toBeGreaterThan(0)

  const list = json('feature', 'show', '--extraction', at('features'), '--limit', '1000')
  expect(list.extraction).toMatchObject({ hook_point: hooks[0], features: dSae })
  expect(list.features).toHaveLength(list.extraction.features_alive)
  const [first] = list.features
  const { feature } = json(
    'feature',
    'show',
    '--extraction',
    at('features'),
    '--feature',
    String(first.feature),
  )
  expect(feature.top).toHaveLength(first.top_examples)
  expect(feature.top[0].peak_activation).toBe(first.max)
  const text = mistudio('feature', 'show', '--extraction', at('features'), '--feature', String(first.feature))
  expect(text.stdout).toMatch(/\[\[.+\]\].*\(store\)/)
  const beyond = mistudio('feature', 'show', '--extraction', at('features'), '--feature', String(dSae))
  expect(beyond.status).toBe(1)
  expect(beyond.stderr).toContain(`found: ${dSae}; expected: 0 to ${dSae - 1}`)
}

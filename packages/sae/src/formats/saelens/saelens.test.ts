// SAEs that sae-lens saved, and round trips of ours. The fixtures are made by oracle/saelens_files.py, which also
// checks that sae-lens loads every architecture written here and computes the same.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError, openSafetensors, writeSafetensors } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  activations,
  encodeDense,
  randomRows,
  randomSae,
  structures,
  worst,
} from '../../../testing/encoder_support.ts'
import { createEncoder } from '../../encoder/encoder.ts'
import { inferSae } from '../../infer.ts'
import type { Activation, RowNormalisation, Sae } from '../../sae.ts'
import type { SaeMetadata } from '../format.ts'
import { describeSae, loadSae, saveSae } from '../formats.ts'

const fixtures = fileURLToPath(new URL('../../../fixtures/saelens', import.meta.url))
let pool: WorkerPool
let folder: string
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  folder = mkdtempSync(join(tmpdir(), 'mistudio-saelens-'))
})
afterAll(async () => {
  await pool.close()
  rmSync(folder, { recursive: true })
})

describe.each(readdirSync(fixtures).sort())('an SAE saved by sae-lens, %s', name => {
  test('encodes and decodes as sae-lens does', async () => {
    const sae = loadSae({ dir: join(fixtures, name) })
    const golden = openSafetensors(join(fixtures, name, 'golden.safetensors'))
    const x = golden.readF32('x')
    const encoder = await createEncoder({ pool, sae })
    const fast = await encodeDense({ pool, encoder, x })
    await encoder.close()
    for (const { featureActs, reconstruction } of [inferSae({ sae, x }), fast]) {
      expect(worst(featureActs, golden.readF32('feature_acts'))).toBeLessThan(1e-5)
      expect(worst(reconstruction, golden.readF32('reconstruction'))).toBeLessThan(1e-5)
    }
    golden.close()
    expect(sae.hooks.inputs[0].hook).toBe('blocks.4.hook_resid_post')
  })
})

const metadata: SaeMetadata = {
  modelName: 'm',
  contextSize: 64,
  trainingTokens: 5,
  seed: 1,
  dataset: ['a', 'b'],
  thresholds: { ema: 0.25, calibrated: 0.375, l0: 31.5, tokens: 100_000 },
  training: { family: 'batchtopk', k: 32, matryoshka_widths: [1, 2], normalisation: 'whiten' },
}

const kinds = Object.keys(activations) as Activation['kind'][]
const norms: RowNormalisation[] = ['none', 'layer_norm', 'token_rms']
const all = structures.flatMap(structure =>
  kinds.flatMap(kind => norms.map(norm => [structure, kind, norm] as const)),
)

test.each(all)(
  '%s, %s, rows normalised %s: what is saved is loaded again, bit for bit',
  async (structure, kind, normalisation) => {
    const dir = join(folder, 'round', structure, kind, normalisation)
    const sae: Sae = randomSae({ structure, activation: activations[kind], normalisation })
    await saveSae({ dir, sae, metadata })
    const { dir: at, format, file, config, architecture, metadata: found, ...loaded } = loadSae({ dir })
    expect(loaded).toEqual(sae)
    expect([format, file]).toEqual(['saelens', join(dir, 'cfg.json')])
    expect(config).toEqual(JSON.parse(readFileSync(file, 'utf8')))
    expect(found).toEqual(metadata)
    const described = { ...omitWeights(loaded), dir: at, format, file, config, architecture, metadata }
    expect(describeSae({ dir })).toEqual(described)
  },
)

const omitWeights = ({ weights: _, ...rest }: Sae) => rest

/** What sae_lens 6 registers (sae_lens/__init__.py); it must not know any other name we write. */
const saeLensNames = new Set([
  ...['standard', 'gated', 'topk', 'abstopk', 'jumprelu', 'batchtopk', 'matryoshka_batchtopk', 'temporal'],
  ...['matching_pursuit', 'transcoder', 'skip_transcoder', 'jumprelu_transcoder', 'jumprelu_skip_transcoder'],
])

test('names of SAELens are used where SAELens computes the same, and nowhere else', async () => {
  const written: Record<string, string> = {}
  for (const [structure, kind, normalisation] of all) {
    const dir = join(folder, 'names', structure, kind, normalisation)
    await saveSae({
      dir,
      sae: randomSae({ structure, activation: activations[kind], normalisation }),
      metadata,
    })
    const { architecture, ...config } = JSON.parse(readFileSync(join(dir, 'cfg.json'), 'utf8'))
    // Keys of ours stand only where they say something.
    expect('mistudio_groups' in config).toBe(structure === 'cross_layer_transcoder')
    const own = architecture === `mistudio_${kind}_${structure}`
    expect(own || saeLensNames.has(architecture)).toBe(true)
    if (!own) written[`${structure} ${kind} ${normalisation}`] = architecture
  }
  const everyNorm = (structure: string, kind: string, name: string) =>
    norms.map(norm => [`${structure} ${kind} ${norm}`, name])
  expect(written).toEqual(
    Object.fromEntries([
      ...everyNorm('sae', 'relu', 'standard'),
      ...everyNorm('sae', 'topk', 'topk'),
      ...everyNorm('sae', 'jumprelu', 'jumprelu'),
      ...everyNorm('sae', 'gated', 'gated'),
      ...everyNorm('transcoder', 'relu', 'transcoder'),
      ...everyNorm('transcoder', 'jumprelu', 'jumprelu_transcoder'),
      ['skip_transcoder relu none', 'skip_transcoder'],
      ['skip_transcoder jumprelu none', 'jumprelu_skip_transcoder'],
    ]),
  )
})

test('an SAE that reads x as it is keeps apply_b_dec_to_input false', async () => {
  const dir = join(folder, 'plain x')
  const sae = { ...randomSae({}), centred: false }
  await saveSae({ dir, sae, metadata })
  expect(JSON.parse(readFileSync(join(dir, 'cfg.json'), 'utf8')).apply_b_dec_to_input).toBe(false)
  const x = randomRows({ n: 3, width: 12 })
  expect(inferSae({ sae: loadSae({ dir }), x })).toEqual(inferSae({ sae, x }))
})

/** A copy of a fixture with changes to its config, or to its tensors. */
async function changed(options: {
  name: string
  from?: string
  config?: (config: Record<string, unknown>) => void
  tensors?: (name: string, data: Float32Array) => ArrayBufferView
  dtype?: 'F32' | 'BF16' | 'F16' | 'I32'
}): Promise<string> {
  const { name, from = 'topk', config: change = () => {}, tensors: edit, dtype = 'F32' } = options
  const dir = join(folder, 'changed', name)
  cpSync(join(fixtures, from), dir, { recursive: true })
  const file = join(dir, 'cfg.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  change(config)
  writeFileSync(file, JSON.stringify(config))
  if (edit === undefined) return dir
  const path = join(dir, 'sae_weights.safetensors')
  const read = openSafetensors(path)
  const tensors = Array.from(read.tensors, ([tensor, { shape }]) => ({
    name: tensor,
    dtype,
    shape,
    data: edit(tensor, read.readF32(tensor)),
  }))
  read.close()
  await writeSafetensors({ path, tensors })
  return dir
}

test.each<[string, string, (config: Record<string, unknown>) => void, string]>([
  ['an architecture that nobody has', 'topk', config => (config.architecture = 'temporal'), 'architecture'],
  ['a d_sae that is no number', 'topk', config => (config.d_sae = 'wide'), 'd_sae'],
  ['k above d_sae', 'topk', config => (config.k = 1000), 'k'],
  ['a d_in that disagrees with the weights', 'topk', config => (config.d_in = 17), 'W_enc'],
  ['weights of another architecture', 'topk', config => (config.architecture = 'jumprelu'), 'threshold'],
  ['a gate that is missing', 'standard', config => (config.architecture = 'gated'), 'b_gate'],
  [
    'a scale that is not in the file',
    'standard',
    config => (config.normalize_activations = 'expected_average_only_in'),
    'normalize_activations',
  ],
  ['a transcoder without d_out', 'transcoder', config => delete config.d_out, 'd_out'],
  [
    'a transcoder that subtracts b_dec',
    'transcoder',
    config => (config.apply_b_dec_to_input = true),
    'apply_b_dec_to_input',
  ],
  ['a skip that is missing', 'transcoder', config => (config.architecture = 'skip_transcoder'), 'W_skip'],
  [
    'a reshape that is unknown',
    'topk',
    config => (config.reshape_activations = 'fold'),
    'reshape_activations',
  ],
])('refuses %s and names the field', async (what, from, config, field) => {
  const dir = await changed({ name: what, from, config })
  const error = caught(() => loadSae({ dir }))
  expect(error).toBeInstanceOf(InputError)
  expect((error as InputError).details.field).toBe(field)
  expect(caught(() => describeSae({ dir }))).toEqual(error)
})

test('refuses weights that are not finite, or no floats, and names the tensor', async () => {
  const spoil = (bad: string, value: number) => (name: string, data: Float32Array) => {
    if (name === bad) data[7] = value
    return data
  }
  for (const [tensor, value] of [
    ['W_dec', Number.NaN],
    ['b_enc', Number.POSITIVE_INFINITY],
  ] as const) {
    const dir = await changed({ name: `${tensor} spoilt`, tensors: spoil(tensor, value) })
    const error = caught(() => loadSae({ dir })) as InputError
    expect(error.details).toMatchObject({ field: tensor, found: `${value} at position 7` })
  }
  const integers = await changed({
    name: 'integers',
    dtype: 'I32',
    tensors: (_, data) => Int32Array.from(data),
  })
  expect((caught(() => loadSae({ dir: integers })) as InputError).details).toMatchObject({ found: 'I32' })
})

test('bfloat16 weights are widened', async () => {
  const bits = (data: Float32Array) => Uint16Array.from(new Uint32Array(data.buffer), value => value >>> 16)
  const dir = await changed({ name: 'bf16', dtype: 'BF16', tensors: (_, data) => bits(data.slice()) })
  const { bEnc } = loadSae({ dir }).weights
  const exact = loadSae({ dir: join(fixtures, 'topk') }).weights.bEnc
  expect(bEnc).not.toEqual(exact)
  expect(worst(bEnc, exact)).toBeLessThan(2 ** -7)
})

test('files from before version 6 name the activation apart', async () => {
  const flat = (more: Record<string, unknown>) => (config: Record<string, unknown>) => {
    const { metadata: nested, k, architecture: _, ...rest } = config
    for (const key of Object.keys(config)) delete config[key]
    Object.assign(config, rest, nested, more, k === undefined ? {} : { activation_fn_kwargs: { k } })
    delete config.sae_lens_version
  }
  const topk = await changed({ name: 'old topk', config: flat({ activation_fn_str: 'topk' }) })
  const { activation, hooks } = loadSae({ dir: topk })
  expect(activation).toEqual({ kind: 'topk', k: 5 })
  expect(hooks.inputs).toEqual([{ hook: 'blocks.4.hook_resid_post', width: 16 }])
  const other = await changed({ name: 'old tanh', config: flat({ activation_fn_str: 'tanh-relu' }) })
  expect((caught(() => loadSae({ dir: other })) as InputError).details.field).toBe('activation_fn_str')
  // A factor for each latent that these SAEs may have and ours have not: ignored, it would give other activations.
  const scaled = await changed({ name: 'old scaled', config: flat({ finetuning_scaling_factor: true }) })
  expect((caught(() => loadSae({ dir: scaled })) as InputError).details).toMatchObject({
    field: 'finetuning_scaling_factor',
    found: 'true',
  })
  const unscaled = { activation_fn_str: 'topk', finetuning_scaling_factor: false }
  expect(
    loadSae({ dir: await changed({ name: 'old unscaled', config: flat(unscaled) }) }).activation,
  ).toEqual(activation)
})

test('groups and hook points of our own architectures are checked', async () => {
  const at = join(folder, 'own')
  const sae = randomSae({ structure: 'cross_layer_transcoder' })
  await saveSae({ dir: at, sae, metadata })
  const config = JSON.parse(readFileSync(join(at, 'cfg.json'), 'utf8'))
  const wrong: [unknown, unknown, string][] = [
    [
      [{ latents: [0, 41], input: [0, 12], output: [0, 16] }],
      config.metadata.mistudio_inputs,
      'mistudio_groups',
    ],
    [
      [{ latents: [1, 40], input: [0, 12], output: [0, 16] }],
      config.metadata.mistudio_inputs,
      'mistudio_groups',
    ],
    ['all', config.metadata.mistudio_inputs, 'mistudio_groups'],
    ...(['latents', 'input', 'output'] as const).flatMap(part =>
      [[0, 999], [-1, 1], [2, 2], [0, 1.5], [0]].map((span): [unknown, unknown, string] => [
        config.mistudio_groups.map((group: object, i: number) =>
          i === 0 ? { ...group, [part]: span } : group,
        ),
        config.metadata.mistudio_inputs,
        'mistudio_groups',
      ]),
    ),
    [config.mistudio_groups, [{ hook: 'a', width: 20 }], 'metadata.mistudio_inputs'],
    [config.mistudio_groups, [{ hook: 3, width: 21 }], 'metadata.mistudio_inputs'],
  ]
  for (const [groups, inputs, field] of wrong) {
    const next = {
      ...config,
      mistudio_groups: groups,
      metadata: { ...config.metadata, mistudio_inputs: inputs },
    }
    writeFileSync(join(at, 'cfg.json'), JSON.stringify(next))
    expect((caught(() => describeSae({ dir: at })) as InputError).details.field).toBe(field)
  }
})

test('refuses a folder without cfg.json, or with one that is a folder or too long', () => {
  expect(() => loadSae({ dir: join(folder, 'nowhere') })).toThrow(/no readable cfg.json/)
  mkdirSync(join(folder, 'inside', 'cfg.json'), { recursive: true })
  expect(() => loadSae({ dir: join(folder, 'inside') })).toThrow(/no readable cfg.json/)
  mkdirSync(join(folder, 'long'))
  writeFileSync(join(folder, 'long', 'cfg.json'), ' '.repeat(5_000_000))
  expect(() => loadSae({ dir: join(folder, 'long') })).toThrow(/found: 5000000 bytes/)
  expect(existsSync(join(folder, 'long', 'sae_weights.safetensors'))).toBe(false)
})

function caught(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

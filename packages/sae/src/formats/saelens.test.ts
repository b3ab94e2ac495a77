// SAEs that sae-lens saved, and what comes back of ours. The fixtures are made by oracle/saelens_files.py.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError, type Lanes, openLanes, openSafetensors } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gaussianStream } from '../random.ts'
import { families } from '../topk_learner/families.ts'
import { createTopKEncoder } from '../topk_learner/topk_encoder.ts'
import { describeSaeLens, foldScale, loadSaeLens, type SaeFile, saveSaeLens } from './saelens.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/saelens_topk', import.meta.url))
let lanes: Lanes
let folder: string
beforeAll(async () => {
  lanes = await openLanes({ count: 2 })
  folder = mkdtempSync(join(tmpdir(), 'mistudio-saelens-'))
})
afterAll(async () => {
  await lanes.close()
  rmSync(folder, { recursive: true })
})

/** Dense feature_acts and reconstruction by the fast encoder. */
async function encode(sae: SaeFile, x: Float32Array) {
  const { dIn, dSae } = sae.shape
  const rows = x.length / dIn
  const encoder = await createTopKEncoder({ lanes, sae })
  const memory = await lanes.memory({ bytes: rows * (2 * dIn + 2 * sae.k) * 4 + 4096 })
  const place = (n: number) => ({ memory: memory.id, offset: memory.alloc(n * 4) })
  const activations = place(rows * dIn)
  const index = place(rows * sae.k)
  const value = place(rows * sae.k)
  const reconstruction = place(rows * dIn)
  memory.f32(activations.offset, x.length).set(x)
  await lanes.run(encoder.tasks({ rows, activations, index, value, reconstruction }))
  const featureActs = new Float32Array(rows * dSae)
  const latents = memory.i32(index.offset, rows * sae.k)
  memory.f32(value.offset, rows * sae.k).forEach((v, i) => {
    featureActs[Math.floor(i / sae.k) * dSae + latents[i]] = v
  })
  const result = { featureActs, reconstruction: memory.f32(reconstruction.offset, rows * dIn).slice() }
  await encoder.close()
  await lanes.release(memory)
  return result
}

function worst(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let most = 0
  let error = 0
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Math.abs(wanted[i]))
    error = Math.max(error, Math.abs(found[i] - wanted[i]))
  }
  return error / most
}

describe.each(['plain', 'rescaled'])('an SAE saved by sae-lens, %s', name => {
  test('encodes and decodes as sae-lens does', async () => {
    const sae = loadSaeLens({ dir: join(fixtures, name) })
    const golden = openSafetensors(join(fixtures, name, 'golden.safetensors'))
    const { featureActs, reconstruction } = await encode(sae, golden.readF32('x'))
    const wanted = golden.readF32('feature_acts')
    expect(worst(featureActs, wanted)).toBeLessThan(1e-5)
    expect(worst(reconstruction, golden.readF32('reconstruction'))).toBeLessThan(1e-5)
    expect(sae.metadata.hookPoint).toBe('blocks.4.hook_resid_post')
  })
})

const shape = { dIn: 10, dSae: 30 }
function someSae() {
  const draw = gaussianStream({ seed: 2, purpose: 'sae' })
  const take = (n: number) => Float32Array.from({ length: n }, draw)
  return { wEnc: take(300), bEnc: take(30), wDec: take(300), bDec: take(10) }
}

test('what is saved is loaded again, bit for bit', async () => {
  const dir = join(folder, 'round')
  const weights = someSae()
  const metadata = {
    modelName: 'm',
    hookPoint: 'blocks.0.hook_mlp_out',
    contextSize: 64,
    trainingTokens: 5,
    seed: 1,
    dataset: ['a', 'b'],
  }
  await saveSaeLens({ dir, shape, k: 3, weights, scale: 1, metadata })
  const loaded = loadSaeLens({ dir })
  expect(loaded.weights).toEqual(weights)
  expect(loaded.metadata).toEqual(metadata)
  expect(loaded.k).toBe(3)
  const { weights: _, ...description } = loaded
  expect(describeSaeLens({ dir })).toEqual(description)
})

test('a folded scale computes on x what the unfolded SAE computes on x · scale', () => {
  const weights = someSae()
  const draw = gaussianStream({ seed: 3, purpose: 'x' })
  const x = Float32Array.from({ length: 200 }, draw)
  const scale = 3.7
  const config = families.topk.config({ k: 3 }, { shape, trainTokens: 1 })
  const unfolded = families.topk.infer({ weights, shape, config, x: x.map(value => value * scale) })
  const folded = families.topk.infer({ weights: foldScale(weights, scale), shape, config, x })
  expect(worst(folded.featureActs, unfolded.featureActs)).toBeLessThan(1e-5)
  expect(
    worst(
      folded.reconstruction,
      unfolded.reconstruction.map(value => value / scale),
    ),
  ).toBeLessThan(1e-5)
})

test.each<[string, (config: Record<string, unknown>) => void, string]>([
  ['another architecture', config => (config.architecture = 'gated'), 'architecture'],
  ['a d_sae that is no number', config => (config.d_sae = 'wide'), 'd_sae'],
  ['k above d_sae', config => (config.k = 1000), 'k'],
  ['a d_in that disagrees with the weights', config => (config.d_in = 17), 'W_enc'],
])('refuses %s and names the field', (_, change, field) => {
  const dir = join(folder, `bad-${field}`)
  cpSync(join(fixtures, 'plain'), dir, { recursive: true })
  const file = join(dir, 'cfg.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  change(config)
  writeFileSync(file, JSON.stringify(config))
  const error = caught(() => loadSaeLens({ dir }))
  expect(error).toBeInstanceOf(InputError)
  expect((error as InputError).details.field).toBe(field)
  expect(caught(() => describeSaeLens({ dir }))).toEqual(error)
})

test('refuses a folder without cfg.json, or with one that is a folder or too long', () => {
  expect(() => loadSaeLens({ dir: join(folder, 'nowhere') })).toThrow(/no readable cfg.json/)
  mkdirSync(join(folder, 'inside', 'cfg.json'), { recursive: true })
  expect(() => loadSaeLens({ dir: join(folder, 'inside') })).toThrow(/no readable cfg.json/)
  mkdirSync(join(folder, 'long'))
  writeFileSync(join(folder, 'long', 'cfg.json'), ' '.repeat(5_000_000))
  expect(() => loadSaeLens({ dir: join(folder, 'long') })).toThrow(/found: 5000000 bytes/)
})

function caught(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

// The encoder against exact inference (infer.ts), for every activation, structure and row normalisation.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  activations,
  encodeDense,
  randomRows,
  randomSae,
  structures,
  worst,
} from '../../testing/encoder_support.ts'
import { inferSae } from '../infer.ts'
import type { Activation, Sae } from '../sae.ts'
import { createEncoder } from './encoder.ts'

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

async function encode(sae: Sae, x: Float32Array, rowsPerCall = 48, on = pool) {
  const encoder = await createEncoder({ pool: on, sae, rowsPerCall })
  try {
    return await encodeDense({ pool: on, encoder, x })
  } finally {
    await encoder.close()
  }
}

const kinds = Object.keys(activations) as Activation['kind'][]

describe.each(structures)('%s', structure => {
  test.each(
    kinds.flatMap(kind => (['none', 'token_rms', 'layer_norm'] as const).map(norm => [kind, norm] as const)),
  )('%s with rows normalised %s computes what exact inference does', async (kind, normalisation) => {
    const sae = randomSae({ structure, activation: activations[kind], normalisation })
    // Two calls and a tail that ends in the middle of a list.
    const x = randomRows({ n: 117, width: sae.shape.dIn })
    x.fill(0, 0, sae.shape.dIn)
    const found = await encode(sae, x)
    const wanted = inferSae({ sae, x })
    expect(worst(found.featureActs, wanted.featureActs)).toBeLessThan(1e-5)
    expect(worst(found.reconstruction, wanted.reconstruction)).toBeLessThan(1e-5)
    const firing = wanted.featureActs.filter(value => value > 0).length / 117
    expect(firing).toBeGreaterThan(2)
  })
})

test('hits that do not fit are encoded anew in a larger room, whose size the next room begins with', async () => {
  const sae = randomSae({ activation: { kind: 'relu' }, dSae: 300, bias: -2.4 })
  const encoder = await createEncoder({ pool, sae, rowsPerCall: 64 })
  const few = randomRows({ n: 200, width: 12 })
  // From row 130 on nearly everything fires: lists of thousands, after calls that fitted.
  const x = few.map((value, i) => (i >= 130 * 12 ? value * 40 : value))
  const wanted = inferSae({ sae, x })
  const first = await encoder.room({ rows: 200 })
  const before = first.capacity
  await first.close()
  const found = await encodeDense({ pool, encoder, x })
  expect(found.capacity).toBeGreaterThan(before)
  expect(worst(found.featureActs, wanted.featureActs)).toBeLessThan(1e-5)
  expect(worst(found.reconstruction, wanted.reconstruction)).toBeLessThan(1e-5)
  const next = await encoder.room({ rows: 200 })
  expect(next.capacity).toBe(found.capacity)
  await next.close()
  await encoder.close()
})

test('rows give the same bits whatever their neighbours, the workers and the room’s growth', async () => {
  const sae = randomSae({ activation: { kind: 'relu' }, dSae: 300, bias: 0.5 })
  const x = randomRows({ n: 150, width: 12 })
  const whole = await encode(sae, x, 64)
  const single = await openWorkerPool({ count: 1 })
  const alone = await encode(sae, x.subarray(0, 70 * 12), 64, single)
  await single.close()
  expect(alone.featureActs).toEqual(whole.featureActs.subarray(0, 70 * 300))
  expect(alone.reconstruction).toEqual(whole.reconstruction.subarray(0, 70 * 12))
})

test('a NaN among the activations is seen in the hits, not dropped', async () => {
  for (const kind of kinds) {
    const sae = randomSae({ activation: activations[kind] })
    const x = randomRows({ n: 40, width: 12 })
    x[35 * 12 + 3] = Number.NaN
    const { featureActs } = await encode(sae, x)
    const rows = Array.from({ length: 40 }, (_, r) => featureActs.subarray(r * 40, (r + 1) * 40))
    expect(rows.map(row => row.some(Number.isNaN)).indexOf(true)).toBe(35)
    expect(rows.filter(row => row.some(Number.isNaN))).toHaveLength(1)
  }
})

test('a room that would exceed its limit says how many latents fire', async () => {
  const encoder = await createEncoder({ pool, sae: randomSae({}) })
  const error = await encoder.room({ rows: 40_000_000 }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(InputError)
  expect((error as InputError).details.field).toBe('latents firing per token')
  await encoder.close()
})

// The calibrated threshold of BatchTopK: the mean L0 of the finished SAE is k, by exact inference.
import { InputError } from '@mistudio/files'
import { inferSae, type Sae } from '@mistudio/sae'
import { gaussianStream, openWorkerPool, type Place, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { basePlan } from '../plan.ts'
import { createCalibrator } from './calibrate.ts'

const tokens = 700
const widths = [8, 6]
let pool: WorkerPool
let inputs: Place[]
let rows: Place
let columns: Float32Array[]
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  const memory = await pool.memory({ bytes: 1 << 20 })
  const draw = gaussianStream({ seed: 2, purpose: 'rows' })
  columns = []
  inputs = widths.map(width => {
    const offset = memory.alloc(tokens * width * 4)
    const values = memory.f32(offset, tokens * width)
    for (let i = 0; i < values.length; i++) values[i] = draw() + 0.2
    columns.push(values)
    return { memory: memory.id, offset }
  })
  const offset = memory.alloc(tokens * 4)
  // In reverse, so that the indices matter.
  memory.i32(offset, tokens).forEach((_, i, all) => {
    all[i] = tokens - 1 - i
  })
  rows = { memory: memory.id, offset }
})
afterAll(() => pool.close())

function sae(options: { hooks: number; dSae?: number; grouped?: boolean; row?: Sae['normalisation'] }): Sae {
  const { hooks, dSae = 60, grouped = false, row = 'none' } = options
  const dIn = widths.slice(0, hooks).reduce((sum, width) => sum + width, 0)
  const shape = { dIn, dSae, dOut: dIn }
  const draw = gaussianStream({ seed: 9, purpose: 'sae' })
  const spans = widths.slice(0, hooks).map((width, i) => ({ hook: `h${i}`, width }))
  const groups = grouped
    ? [
        { latents: [0, 20] as const, input: [0, 8] as const, output: [0, dIn] as const },
        { latents: [20, dSae] as const, input: [8, dIn] as const, output: [0, dIn] as const },
      ]
    : basePlan(shape).groups
  return {
    family: 'batchtopk',
    shape,
    groups,
    activation: { kind: 'jumprelu' },
    centred: !grouped,
    normalisation: row,
    hooks: { inputs: spans, outputs: spans },
    weights: {
      wEnc: Float32Array.from({ length: dSae * dIn }, draw),
      bEnc: Float32Array.from({ length: dSae }, () => 0.3 * draw()),
      wDec: Float32Array.from({ length: dSae * dIn }, draw),
      bDec: Float32Array.from({ length: dIn }, draw),
      threshold: new Float32Array(dSae),
    },
  }
}

async function calibrated(one: Sae, k: number) {
  const calibrator = await createCalibrator({ pool, sae: one, k })
  const places = inputs.slice(0, one.hooks.inputs.length)
  // In two parts, neither a whole number of calls.
  await calibrator.add({ rows, count: 333, inputs: places })
  const rest = { ...rows, offset: rows.offset + 333 * 4 }
  await calibrator.add({ rows: rest, count: tokens - 333, inputs: places })
  const found = calibrator.finish()
  await calibrator.close()
  return found
}

/** Mean L0 of exact inference. */
function exactL0(one: Sae, threshold: number): number {
  one.weights.threshold!.fill(threshold)
  const { dIn } = one.shape
  const x = new Float32Array(tokens * dIn)
  let from = 0
  one.hooks.inputs.forEach(({ width }, hook) => {
    for (let i = 0; i < tokens; i++) {
      x.set(columns[hook].subarray(i * width, (i + 1) * width), i * dIn + from)
    }
    from += width
  })
  return inferSae({ sae: one, x }).featureActs.reduce((sum, f) => sum + (f > 0 ? 1 : 0), 0) / tokens
}

describe('a calibrated threshold', () => {
  test.each([
    ['one hook point', { hooks: 1 }, 5],
    ['two joint hook points', { hooks: 2 }, 11],
    ['groups of latents', { hooks: 2, grouped: true }, 7],
    ['rows normalised by their norm', { hooks: 2, row: 'token_rms' as const }, 4],
  ])('gives mean L0 = k: %s', async (_, options, k) => {
    const one = sae(options)
    const { threshold, l0, tokens: counted } = await calibrated(one, k)
    expect(counted).toBe(tokens)
    expect(threshold).toBeGreaterThan(0)
    expect(Math.abs(l0 / k - 1)).toBeLessThan(0.002)
    expect(Math.abs(exactL0(one, threshold) / l0 - 1)).toBeLessThan(1e-3)
  })

  test('is refused where fewer than k latents can fire, and the field is named', async () => {
    const failure = calibrated(sae({ hooks: 1, dSae: 60 }), 59)
    await expect(failure).rejects.toThrow(/no threshold.*field: k.*found: 59/)
    await expect(failure).rejects.toThrow(InputError)
  })
})

// Metric bugs found in other tools, each shown to be absent here; docs/bugs.md lists them.

import { createTable, randomContexts } from '@mistudio/capture/testing/table_forward.ts'
import {
  ceScore,
  densities,
  explainedVariance,
  fvu,
  mse,
  relativeReconstructionBias,
  type Sae,
} from '@mistudio/sae'
import { gaussianStream, openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeSplice } from '../testing/evaluation_support.ts'
import { evaluateSaes } from './evaluate.ts'
import { addBatch, emptyEvaluationSums } from './reconstruction.ts'
import { emptyModelSums, evaluationReport } from './report.ts'

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const width = 8
const dSae = 24
const take = (n: number, seed = 1, mean = 0) => {
  const draw = gaussianStream({ seed, purpose: 'bugs' })
  return Float32Array.from({ length: n }, () => draw() + mean)
}
const hooks = [{ hook: 'a', width }]
const sae: Sae = {
  family: 'standard',
  shape: { dIn: width, dSae, dOut: width },
  groups: [{ latents: [0, dSae], input: [0, width], output: [0, width] }],
  activation: { kind: 'relu' },
  centred: true,
  normalisation: 'none',
  weights: {
    wEnc: take(dSae * width, 2),
    bEnc: take(dSae, 3),
    wDec: take(dSae * width, 4).map(value => value / 5),
    bDec: take(width, 5),
  },
  hooks: { inputs: hooks, outputs: hooks },
}

/** Sums over y and x̂ (float32 [rows, width]), in batches of the sizes given. */
function sumsOf(y: Float32Array, reconstruction: Float32Array, batches: readonly number[]) {
  const sums = emptyEvaluationSums(sae)
  let first = 0
  for (const rows of batches) {
    const cut = (values: Float32Array) => values.subarray(first * width, (first + rows) * width)
    const mask = new Uint8Array(rows).fill(1)
    addBatch({
      sums,
      y: [cut(y)],
      reconstruction: [cut(reconstruction)],
      hits: [],
      mask,
      rows,
      contextSize: 1,
    })
    first += rows
  }
  return sums
}

const n = 40
/** A large mean, so that wrong terms for it show. */
const y = take(n * width, 6, 3)
const made = y.map((value, i) => value + 0.3 * Math.sin(i))

test('SAELens, scaled activations left at masked positions: the model’s own bits stand there', async () => {
  const contextSize = 6
  const table = await createTable({ pool, vocabulary: 30, dIn: width, hooks: ['a'], contextSize })
  const splice = await fakeSplice({ pool, hooks: ['a'], width, contextSize, contextsPerCall: 2 })
  const source = randomContexts({ vocabulary: 30, contextSize, contexts: 10 })
  let seen = 0
  for (const normalisation of ['token_rms', 'layer_norm'] as const) {
    await evaluateSaes({
      pool,
      saes: [{ sae: { ...sae, normalisation }, splice }],
      prefix: table.forward,
      contextsPerCall: 2,
      source,
      split: 'held_out',
      onContext: (_, { clean, spliced, zero, mean, klSpliced }) => {
        seen++
        expect([spliced[0], zero[0], mean[0]]).toEqual([clean[0], clean[0], clean[0]])
        expect(Math.abs(klSpliced[0])).toBeLessThan(1e-6)
        expect(spliced[1]).not.toBe(clean[1])
      },
    })
  }
  expect(seen).toBe(20)
  await splice.close()
})

test('SAELens up to 6.45.0 and SAEBench, the mean activation’s term made of squares: ours is the variance about the mean', () => {
  const sums = sumsOf(y, made, [n])
  const column = (j: number) => Array.from({ length: n }, (_, r) => y[r * width + j])
  const mean = (values: number[]) => values.reduce((all, value) => all + value, 0) / values.length
  let variance = 0
  for (let j = 0; j < width; j++) {
    const m = mean(column(j))
    variance += column(j).reduce((all, value) => all + (value - m) ** 2, 0)
  }
  const error = y.reduce((all, value, i) => all + (value - made[i]) ** 2, 0)
  expect(explainedVariance(sums)).toBeCloseTo(1 - error / variance, 9)
  // Theirs: E‖x‖² − (mean over dimensions of E[x²])².
  const squares = mean(Array.from({ length: width }, (_, j) => mean(column(j).map(value => value ** 2))))
  const theirs = 1 - error / n / (width * squares - squares ** 2)
  expect(Math.abs(explainedVariance(sums)! - theirs)).toBeGreaterThan(0.01)
})

test('SAELens up to 6.45.1 and SAEBench, the MSE divided by the tokens once more: ours does not depend on how many there are', () => {
  const twice = (values: Float32Array) => Float32Array.from([...values, ...values])
  const one = mse(sumsOf(y, made, [n]))!
  expect(mse(sumsOf(twice(y), twice(made), [2 * n]))).toBeCloseTo(one, 9)
  expect(one).toBeCloseTo(y.reduce((all, value, i) => all + (value - made[i]) ** 2, 0) / n, 6)
})

test('dictionary_learning, averages of per-batch ratios: ours are the same however the tokens are cut into batches', () => {
  const whole = sumsOf(y, made, [n])
  const cut = sumsOf(y, made, [1, 2, 4, 3, n - 10])
  for (const metric of [fvu, explainedVariance, mse, relativeReconstructionBias]) {
    expect(metric(cut)!).toBeCloseTo(metric(whole)!, 10)
  }
  // Averaging the batches' ratios would not be.
  const parts = [10, n - 10].map((rows, i) => {
    const from = i === 0 ? 0 : 10 * width
    return fvu(sumsOf(y.slice(from, from + rows * width), made.slice(from, from + rows * width), [rows]))!
  })
  expect(Math.abs((parts[0] + parts[1]) / 2 - fvu(whole)!)).toBeGreaterThan(1e-4)
})

test('dictionary_learning, in_and_out evaluated on x alone: a transcoder is scored against its output hook point', async () => {
  const contextSize = 6
  const vocabulary = 30
  const [a, b] = [
    await createTable({ pool, vocabulary, dIn: width, hooks: ['a'], contextSize }),
    await createTable({ pool, vocabulary, dIn: width, hooks: ['b'], contextSize }),
  ]
  b.rows.forEach((value, i) => {
    b.rows[i] = -2 * value + 1
  })
  const prefix = {
    outputs: [...a.forward.outputs, ...b.forward.outputs],
    tasks: (options: Parameters<typeof a.forward.tasks>[0]) => [
      ...a.forward.tasks(options),
      ...b.forward.tasks(options),
    ],
  }
  const splice = await fakeSplice({ pool, hooks: ['b'], width, contextSize, contextsPerCall: 2 })
  // Latents ±e_j that write −2 times what they read, and a bias of 1: exactly b.
  const unit = new Float32Array(2 * width * width)
  for (let i = 0; i < 2 * width; i++) unit[i * width + (i % width)] = i < width ? 1 : -1
  const transcoder: Sae = {
    ...sae,
    family: 'transcoder',
    centred: false,
    shape: { dIn: width, dSae: 2 * width, dOut: width },
    groups: [{ latents: [0, 2 * width], input: [0, width], output: [0, width] }],
    weights: {
      wEnc: unit,
      wDec: unit.map(value => -2 * value),
      bEnc: new Float32Array(2 * width),
      bDec: new Float32Array(width).fill(1),
    },
    hooks: { inputs: hooks, outputs: [{ hook: 'b', width }] },
  }
  const [found] = await evaluateSaes({
    pool,
    saes: [{ sae: transcoder, splice }],
    prefix,
    contextsPerCall: 2,
    source: randomContexts({ vocabulary, contextSize, contexts: 10 }),
    split: 'held_out',
  })
  await splice.close()
  expect(found.fvu).toBeLessThan(1e-10)
  expect(found.delta_ce).toBeCloseTo(0, 5)
})

test('Llamascopium, the loss ratio upside down: our score rises as the spliced loss falls, from 0 to 1', () => {
  const score = (spliced: number) => ceScore({ clean: 2, spliced, zero: 10 })!
  expect([score(10), score(6), score(2)]).toEqual([0, 0.5, 1])
})

test('miStudio, figures made up where nothing was measured: what was not measured is null', () => {
  const empty = evaluationReport({
    split: 'held_out',
    sums: emptyEvaluationSums(sae),
    model: emptyModelSums(),
  })
  const { split, tokens, masked_tokens, ce_tokens, kl_tokens, ce_masked_tokens, ...figures } = empty
  expect([split, tokens, masked_tokens, ce_tokens, kl_tokens, ce_masked_tokens]).toEqual([
    'held_out',
    0,
    0,
    0,
    0,
    0,
  ])
  expect(Object.values(figures).every(value => value === null)).toBe(true)
  expect(Object.keys(figures).length).toBeGreaterThan(25)
})

test('miStudio, frequencies by sample: density counts tokens', () => {
  const sums = emptyEvaluationSums(sae)
  const rows = 8
  // Latent 3 fires at six tokens of one context of eight: by sample its frequency would be 1.
  const starts = Int32Array.of(0, 1, 2, 3, 4, 5, 6, 6, 6)
  const hits = [
    { firstRow: 0, rows, starts, index: new Int32Array(6).fill(3), value: new Float32Array(6).fill(1) },
  ]
  const values = take(rows * width)
  addBatch({
    sums,
    y: [values],
    reconstruction: [values],
    hits,
    mask: new Uint8Array(rows).fill(1),
    rows,
    contextSize: rows,
  })
  expect(densities(sums)![3]).toBe(6 / 8)
})

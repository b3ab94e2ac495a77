// Evaluation against a plain recount by the float64 inference, for every kind of SAE, over made-up activations whose
// loss at a token shows what replaced them.

import { createTable, randomContexts, type Table } from '@mistudio/capture/testing/table_forward.ts'
import { type Activation, inferSae, l0Bin, type Sae } from '@mistudio/sae'
import { gaussianStream, openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fakeSplice } from '../testing/evaluation_support.ts'
import { type ContextLosses, evaluateSaes, type SpliceForward } from './evaluate.ts'

const width = 12
const dSae = 40
const vocabulary = 60
const contextSize = 8
const contexts = 75
const contextsPerCall = 4
const ceContexts = 41
const hooks = ['a', 'b']

let pool: WorkerPool
let table: Table
const splices = new Map<string, SpliceForward & { close(): Promise<void> }>()
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
  table = await createTable({ pool, vocabulary, dIn: width, hooks, contextSize })
  for (const set of [['a'], ['b'], hooks]) {
    splices.set(String(set), await fakeSplice({ pool, hooks: set, width, contextSize, contextsPerCall: 3 }))
  }
})
afterAll(async () => {
  for (const splice of splices.values()) await splice.close()
  await pool.close()
})

const source = randomContexts({ vocabulary, contextSize, contexts })

/** A random SAE reading and writing the given hook points. */
function someSae(options: {
  activation: Activation
  inputs?: string[]
  outputs?: string[]
  seed?: number
}): Sae {
  const { activation, inputs = ['a'], outputs = inputs, seed = 4 } = options
  const draw = gaussianStream({ seed, purpose: 'sae' })
  const take = (n: number, scale = 1) => Float32Array.from({ length: n }, () => scale * draw())
  const [dIn, dOut] = [width * inputs.length, width * outputs.length]
  const spans = (names: string[]) => names.map(hook => ({ hook, width }))
  return {
    family: 'any',
    shape: { dIn, dSae, dOut },
    groups: [{ latents: [0, dSae], input: [0, dIn], output: [0, dOut] }],
    activation,
    centred: String(inputs) === String(outputs),
    normalisation: 'none',
    weights: {
      wEnc: take(dSae * dIn, 0.3),
      bEnc: take(dSae, 0.2),
      wDec: take(dSae * dOut, 0.3),
      bDec: take(dOut, 0.1),
      threshold: take(dSae, 0.1).map(Math.abs),
      rMag: take(dSae, 0.1),
      bMag: take(dSae, 0.1),
    },
    hooks: { inputs: spans(inputs), outputs: spans(outputs) },
  }
}

const evaluate = (saes: Sae[], more: Partial<Parameters<typeof evaluateSaes>[0]> = {}) =>
  evaluateSaes({
    pool,
    saes: saes.map(sae => ({
      sae,
      splice: splices.get(String(sae.hooks.outputs.map(({ hook }) => hook)))!,
    })),
    prefix: table.forward,
    contextsPerCall,
    source,
    split: 'held_out',
    maxCeTokens: ceContexts * contextSize,
    ...more,
  })

const most = (row: ArrayLike<number>) =>
  Array.from(row).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
const softmax = (row: ArrayLike<number>) => {
  const all = Array.from(row, Math.exp).reduce((sum, value) => sum + value, 0)
  return Array.from(row, value => Math.exp(value) / all)
}
const divergence = (p: number[], q: number[]) =>
  p.reduce((sum, value, i) => sum + value * Math.log(value / q[i]), 0)
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0)

/** Recomputes everything token by token from the definitions. Both hook points hold the table's rows. */
function recount(sae: Sae) {
  const outputs = sae.hooks.outputs.length
  const y: number[][] = []
  const made: number[][] = []
  const acts: number[][] = []
  const places: { context: number; t: number }[] = []
  const ids = new Int32Array(contextSize)
  const mask = new Uint8Array(contextSize)
  for (let context = 0; context < contexts; context++) {
    source.read({ first: context, count: 1, ids, mask })
    ids.forEach((id, t) => {
      if (mask[t] === 0) return
      const row = [...table.rows.slice(id * width, (id + 1) * width)]
      const x = sae.hooks.inputs.flatMap(() => row)
      const { featureActs, reconstruction } = inferSae({ sae, x })
      y.push(sae.hooks.outputs.flatMap(() => row))
      made.push([...reconstruction])
      acts.push([...featureActs])
      places.push({ context, t })
    })
  }
  const n = y.length
  const sum = (values: number[]) => values.reduce((all, value) => all + value, 0)
  const mean = Array.from({ length: sae.shape.dOut }, (_, j) => sum(y.map(row => row[j])) / n)
  const errors = y.map((row, i) => sum(row.map((value, j) => (value - made[i][j]) ** 2)))
  const variance = sum(y.map(row => sum(row.map((value, j) => (value - mean[j]) ** 2))))
  const byDimension = mean.map(
    (m, j) => 1 - sum(y.map((row, i) => (row[j] - made[i][j]) ** 2)) / sum(y.map(row => (row[j] - m) ** 2)),
  )
  const firing = acts.map(row => row.filter(value => value > 0).length)
  // The value a position's loss sees: the hook points' values added up.
  const folded = (row: number[]) =>
    Array.from({ length: width }, (_, j) => {
      let all = 0
      for (let h = 0; h < outputs; h++) all += row[h * width + j]
      return all
    })
  const ce = places.flatMap(({ context, t }, i) => (context < ceContexts && t < contextSize - 1 ? [i] : []))
  const kl = places.flatMap(({ context }, i) => (context < ceContexts ? [i] : []))
  const over = (rows: number[], value: (i: number) => number) => sum(rows.map(value)) / rows.length
  return {
    tokens: n,
    fvu: sum(errors) / variance,
    explained_variance_mean: sum(byDimension) / byDimension.length,
    explained_variance_min: Math.min(...byDimension),
    mse: sum(errors) / n,
    cosine: sum(y.map((row, i) => dot(row, made[i]) / Math.sqrt(dot(row, row) * dot(made[i], made[i])))) / n,
    l2_ratio: sum(y.map((row, i) => Math.sqrt(dot(made[i], made[i]) / dot(row, row)))) / n,
    relative_reconstruction_bias:
      sum(made.map(row => dot(row, row))) / sum(y.map((row, i) => dot(row, made[i]))),
    l0: sum(firing) / n,
    l0_histogram: firing.reduce(
      (bins, count) => bins.map((value, bin) => (bin === l0Bin(count) ? value + 1 : value)),
      new Array<number>(l0Bin(dSae) + 1).fill(0),
    ),
    l1: sum(acts.map(sum)) / n,
    dead: mean.length && acts[0].filter((_, latent) => acts.every(row => row[latent] === 0)).length / dSae,
    ce_tokens: ce.length,
    ce_clean: over(ce, i => most(folded(y[i]))),
    ce_spliced: over(ce, i => most(folded(made[i]))),
    ce_mean: most(folded(mean)),
    kl_tokens: kl.length,
    kl_spliced: over(kl, i => divergence(softmax(folded(y[i])), softmax(folded(made[i])))),
    kl_zero: over(kl, i => divergence(softmax(folded(y[i])), softmax(new Float64Array(width)))),
    kl_mean: over(kl, i => divergence(softmax(folded(y[i])), softmax(folded(mean)))),
  }
}

describe.each<[string, Parameters<typeof someSae>[0]]>([
  ['ReLU', { activation: { kind: 'relu' } }],
  ['TopK', { activation: { kind: 'topk', k: 4 } }],
  ['JumpReLU', { activation: { kind: 'jumprelu' } }],
  ['gated', { activation: { kind: 'gated' } }],
  ['transcoder', { activation: { kind: 'relu' }, inputs: ['a'], outputs: ['b'] }],
  ['crosscoder', { activation: { kind: 'jumprelu' }, inputs: hooks, outputs: hooks }],
])('a %s SAE', (_, kind) => {
  test('has the figures of the definitions, over the tokens that count', async () => {
    const sae = someSae(kind)
    const [found] = await evaluate([sae])
    const wanted = recount(sae)
    expect(found.tokens).toBe(contexts * (contextSize - 1))
    expect(found.masked_tokens).toBe(contexts)
    expect(found.ce_tokens).toBe(ceContexts * (contextSize - 2))
    expect(found.kl_tokens).toBe(ceContexts * (contextSize - 1))
    for (const name of [
      'tokens',
      'fvu',
      'explained_variance_mean',
      'explained_variance_min',
      'mse',
      'cosine',
      'l2_ratio',
      'relative_reconstruction_bias',
      'l0',
      'l1',
      'ce_tokens',
      'ce_clean',
      'ce_spliced',
      'ce_mean',
      'kl_tokens',
      'kl_spliced',
      'kl_zero',
      'kl_mean',
    ] as const) {
      const scale = Math.max(1, Math.abs(wanted[name]))
      expect(found[name]! / scale, name).toBeCloseTo(wanted[name] / scale, 5)
    }
    expect(found.l0_histogram).toEqual(wanted.l0_histogram)
    expect(found.dead_fraction).toBe(wanted.dead)
    expect(found.explained_variance).toBeCloseTo(1 - wanted.fvu, 5)
    expect(found.ce_zero).toBe(0)
    expect(found.delta_ce).toBeCloseTo(found.ce_spliced! - found.ce_clean!, 12)
    expect(found.kl_score).toBeCloseTo(1 - found.kl_spliced! / found.kl_zero!, 12)
    expect(found.ce_score_mean).toBeCloseTo(
      (found.ce_mean! - found.ce_spliced!) / (found.ce_mean! - found.ce_clean!),
      12,
    )
    expect(found.density_histogram?.reduce((sum, count) => sum + count, 0)).toBe(dSae)
    expect(found.hooks?.map(({ hook }) => hook)).toEqual(sae.hooks.outputs.length > 1 ? hooks : undefined)
  })
})

test('a crosscoder has figures of each hook point, which the joint ones add up', async () => {
  const sae = someSae({ activation: { kind: 'relu' }, inputs: hooks, outputs: hooks })
  const [found] = await evaluate([sae], { maxCeTokens: 0 })
  expect(found.hooks!.reduce((sum, { mse }) => sum + mse!, 0)).toBeCloseTo(found.mse!, 6)
  expect(found.hooks![0].fvu).not.toBe(found.hooks![1].fvu)
  // Both hook points have equal variance here, so the joint FVU is the mean of theirs.
  expect((found.hooks![0].fvu! + found.hooks![1].fvu!) / 2).toBeCloseTo(found.fvu!, 6)
})

test('several SAEs in one pass have the figures that each has alone, with the same bits', async () => {
  const saes = [1, 2, 3].map(seed => someSae({ activation: { kind: 'topk', k: 3 }, seed }))
  const together = await evaluate(saes)
  const [second] = await evaluate([saes[1]])
  expect({ ...together[1], sums: undefined }).toEqual({ ...second, sums: undefined })
  expect(together[0].fvu).not.toBe(together[1].fvu)
})

test('masked positions are neither scored nor replaced, in no variant', async () => {
  const seen: ContextLosses[] = []
  const sae = someSae({ activation: { kind: 'topk', k: 4 } })
  await evaluate([sae], { onContext: (_, losses) => seen.push(losses) })
  expect(seen.map(({ context }) => context)).toEqual(Array.from({ length: ceContexts }, (_, i) => i))
  for (const losses of seen) {
    expect([...losses.scored]).toEqual([0, 1, 1, 1, 1, 1, 1, 0])
    expect([...losses.usable]).toEqual([0, 1, 1, 1, 1, 1, 1, 1])
    // The masked first position keeps the model's own activation, even when the others are ablated.
    for (const variant of ['spliced', 'zero', 'mean'] as const)
      expect(losses[variant][0]).toBe(losses.clean[0])
    for (const kl of ['klSpliced', 'klZero', 'klMean'] as const)
      expect(Math.abs(losses[kl][0])).toBeLessThan(1e-6)
    expect(losses.clean[0]).toBeGreaterThan(0)
    expect(losses.zero[1]).toBe(0)
  }
})

test('a perfect dictionary loses nothing', async () => {
  // Two latents per coordinate, +e_j and −e_j: every activation is reconstructed exactly.
  const unit = new Float32Array(2 * width * width)
  for (let i = 0; i < 2 * width; i++) unit[i * width + (i % width)] = i < width ? 1 : -1
  const zeros = (n: number) => new Float32Array(n)
  const sae: Sae = {
    ...someSae({ activation: { kind: 'relu' } }),
    shape: { dIn: width, dSae: 2 * width, dOut: width },
    groups: [{ latents: [0, 2 * width], input: [0, width], output: [0, width] }],
    weights: { wEnc: unit, wDec: unit, bEnc: zeros(2 * width), bDec: zeros(width) },
  }
  const [perfect] = await evaluate([sae])
  expect(perfect).toMatchObject({ fvu: 0, mse: 0, delta_ce: 0, ce_score: 1, relative_reconstruction_bias: 1 })
  expect(perfect.explained_variance_min).toBe(1)
  expect(Math.abs(perfect.kl_spliced!)).toBeLessThan(1e-6)
})

test('stopped, or without tokens for the cross-entropies, says of each figure what it was counted over', async () => {
  const sae = someSae({ activation: { kind: 'topk', k: 4 } })
  const [none] = await evaluate([sae], { stopped: () => true })
  expect(none).toMatchObject({
    tokens: 0,
    fvu: null,
    l0: null,
    l0_histogram: null,
    ce_tokens: 0,
    ce_clean: null,
  })
  expect(none).toMatchObject({ delta_ce: null, kl_tokens: 0, kl_score: null })
  const [reconstructed] = await evaluate([sae], { maxTokens: 80, maxCeTokens: 0 })
  expect(reconstructed).toMatchObject({ tokens: 70, ce_tokens: 0, ce_spliced: null, ce_score: null })
  expect(reconstructed.fvu).toBeGreaterThan(0)
})

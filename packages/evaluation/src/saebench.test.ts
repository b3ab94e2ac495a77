// SAEBench's core file: names and definitions as in its source (evals/core/eval_output.py and main.py).

import type { Sae } from '@mistudio/sae'
import { gaussianStream, openWorkerPool, type WorkerPool } from '@mistudio/tensor'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addBatch, emptyEvaluationSums } from './reconstruction.ts'
import { emptyModelSums, evaluationReport } from './report.ts'
import { readSaebenchCore, saebenchCore } from './saebench.ts'
import { weightMetrics } from './weight_metrics.ts'

let pool: WorkerPool
beforeAll(async () => {
  pool = await openWorkerPool({ count: 2 })
})
afterAll(() => pool.close())

const [d, dSae, rows, contextSize] = [6, 510, 8, 4]
const draw = gaussianStream({ seed: 1, purpose: 'saebench' })
const take = (n: number) => Float32Array.from({ length: n }, draw)
const hooks = [{ hook: 'a', width: d }]
const sae: Sae = {
  family: 'standard',
  shape: { dIn: d, dSae, dOut: d },
  groups: [{ latents: [0, dSae], input: [0, d], output: [0, d] }],
  activation: { kind: 'relu' },
  centred: true,
  normalisation: 'none',
  weights: { wEnc: take(dSae * d), bEnc: take(dSae), wDec: take(dSae * d), bDec: take(d) },
  hooks: { inputs: hooks, outputs: hooks },
}

/** Latent 0 fires at rows 1, 2 and 5, latent 7 at row 3; row 0 is masked although latent 9 fires there. */
function measured() {
  const sums = emptyEvaluationSums(sae)
  const y = Float32Array.from({ length: rows * d }, gaussianStream({ seed: 2, purpose: 'y' }))
  const reconstruction = y.map(value => value * 0.9)
  const starts = Int32Array.of(0, 1, 2, 3, 4, 4, 5, 5, 5)
  const index = Int32Array.of(9, 0, 0, 7, 0)
  const value = Float32Array.of(1, 1, 2, 3, 4)
  const mask = Uint8Array.of(0, 1, 1, 1, 1, 1, 1, 1)
  const hits = [{ firstRow: 0, rows, starts, index, value }]
  addBatch({ sums, y: [y], reconstruction: [reconstruction], hits, mask, rows, contextSize })
  const model = {
    ...emptyModelSums(),
    tokens: 5,
    klTokens: 7,
    maskedTokens: 1,
    clean: 10,
    spliced: 11,
    zero: 30,
  }
  const evaluation = evaluationReport({
    split: 'held_out',
    sums,
    model: { ...model, klSpliced: 7, klZero: 28 },
  })
  return { sums, evaluation, y, reconstruction, mask }
}

const core = async () => {
  const { sums, evaluation } = measured()
  const weights = await weightMetrics({ pool, sae })
  const run = { model: 'demo', dataset: 'text', contextSize, batchContexts: 2 }
  return saebenchCore({ evaluation, sums, weights, run, sae: { name: 'one', config: {} } })
}

test('has the categories and keys of SAEBench’s core output, all of them numbers', async () => {
  const keys = Object.fromEntries(
    Object.entries((await core()).eval_result_metrics as Record<string, Record<string, number>>).map(
      ([category, values]) => {
        for (const value of Object.values(values)) expect(value).toEqual(expect.any(Number))
        return [category, Object.keys(values).sort()]
      },
    ),
  )
  expect(keys).toEqual({
    model_behavior_preservation: ['kl_div_score', 'kl_div_with_ablation', 'kl_div_with_sae'],
    model_performance_preservation: [
      'ce_loss_score',
      'ce_loss_with_ablation',
      'ce_loss_with_sae',
      'ce_loss_without_sae',
    ],
    reconstruction_quality: ['cossim', 'explained_variance', 'explained_variance_legacy', 'mse'],
    shrinkage: ['l2_norm_in', 'l2_norm_out', 'l2_ratio', 'relative_reconstruction_bias'],
    sparsity: ['l0', 'l1'],
    token_stats: ['total_tokens_eval_reconstruction', 'total_tokens_eval_sparsity_variance'],
    misc_metrics: [
      'average_max_decoder_cosine_sim',
      'average_max_encoder_cosine_sim',
      'frac_alive',
      'freq_over_10_percent',
      'freq_over_1_percent',
      'normalized_freq_over_10_percent',
      'normalized_freq_over_1_percent',
    ],
  })
})

test('its figures are those of the definitions', async () => {
  const { y, reconstruction, mask } = measured()
  const { eval_result_metrics: metrics, eval_result_details: details } = (await core()) as unknown as {
    eval_result_metrics: Record<string, Record<string, number>>
    eval_result_details: Record<string, number>[]
  }
  expect(metrics.model_performance_preservation).toEqual({
    ce_loss_score: (6 - 2.2) / (6 - 2),
    ce_loss_with_ablation: 6,
    ce_loss_with_sae: 2.2,
    ce_loss_without_sae: 2,
  })
  expect(metrics.model_behavior_preservation).toEqual({
    kl_div_score: 0.75,
    kl_div_with_ablation: 4,
    kl_div_with_sae: 1,
  })
  expect(metrics.token_stats).toEqual({
    total_tokens_eval_reconstruction: 8,
    total_tokens_eval_sparsity_variance: 8,
  })
  expect(metrics.sparsity).toEqual({ l0: 4 / 7, l1: 10 / 7 })
  expect(metrics.shrinkage.l2_ratio).toBeCloseTo(0.9, 6)
  // Densities: 3/7, 1/7 and zeros.
  expect(metrics.misc_metrics).toMatchObject({ frac_alive: 2 / dSae, freq_over_10_percent: 2 / dSae })
  expect(metrics.misc_metrics.normalized_freq_over_10_percent).toBeCloseTo(1, 12)
  // Legacy: about the batch's mean, token by token.
  const used = [...mask.keys()].filter(r => mask[r] === 1)
  const row = (values: Float32Array, r: number) => [...values.slice(r * d, (r + 1) * d)]
  const mean = row(y, 0).map((_, j) => used.reduce((sum, r) => sum + row(y, r)[j], 0) / used.length)
  const squares = (a: number[], b: number[]) => a.reduce((sum, value, j) => sum + (value - b[j]) ** 2, 0)
  const legacy =
    used.reduce(
      (sum, r) => sum + 1 - squares(row(y, r), row(reconstruction, r)) / squares(row(y, r), mean),
      0,
    ) / used.length
  expect(metrics.reconstruction_quality.explained_variance_legacy).toBeCloseTo(legacy, 9)
  // Latent 0: three tokens in two contexts. Latents that never fired have none.
  expect(details[0]).toMatchObject({ index: 0, feature_density: 3 / 7, consistent_activation_heuristic: 1.5 })
  expect(details[9]).toMatchObject({ feature_density: 0, consistent_activation_heuristic: -1 })
  const cosine = (a: Float32Array, i: number, j: number) => {
    const [u, v] = [row(a, i), row(a, j)]
    const dot = (p: number[], q: number[]) => p.reduce((sum, value, n) => sum + value * q[n], 0)
    return dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v))
  }
  const meanOf = (key: string) => details.reduce((sum, one) => sum + one[key], 0) / dSae
  expect(metrics.misc_metrics.average_max_decoder_cosine_sim).toBeCloseTo(meanOf('max_decoder_cosine_sim'), 9)
  expect(metrics.misc_metrics.average_max_encoder_cosine_sim).toBeCloseTo(meanOf('max_encoder_cosine_sim'), 9)
  for (const latent of [0, 255, 256, 509]) {
    const others = Array.from({ length: dSae }, (_, i) => i).filter(i => i !== latent)
    const { wDec, wEnc } = sae.weights
    expect(details[latent].max_decoder_cosine_sim).toBeCloseTo(
      Math.max(...others.map(i => cosine(wDec, latent, i))),
      5,
    )
    expect(details[latent].max_encoder_cosine_sim).toBeCloseTo(
      Math.max(...others.map(i => cosine(wEnc, latent, i))),
      5,
    )
  }
})

test('without weights what needs them is -1, and what was not counted too', async () => {
  const { sums, evaluation } = measured()
  const run = { model: 'demo', dataset: 'text', contextSize, batchContexts: 2 }
  const options = { evaluation, run, sae: { name: 'one', config: {} }, weights: null }
  const { eval_result_metrics: metrics, eval_result_details: details } = saebenchCore({
    ...options,
    sums,
  }) as unknown as {
    eval_result_metrics: Record<string, Record<string, number>>
    eval_result_details: Record<string, number>[]
  }
  expect(metrics.misc_metrics).toMatchObject({
    average_max_decoder_cosine_sim: -1,
    average_max_encoder_cosine_sim: -1,
  })
  expect(details[0]).toMatchObject({ encoder_norm: -1, max_decoder_cosine_sim: -1, feature_density: 3 / 7 })
})

test('a result file is read back under our names; -1 is unknown', async () => {
  const content = (await core()) as { eval_result_metrics: Record<string, Record<string, number>> }
  content.eval_result_metrics.model_behavior_preservation.kl_div_score = -1
  const found = readSaebenchCore({ file: 'x.json', content })
  expect(found).toMatchObject({ ce_clean: 2, ce_score: 0.95, l0: 4 / 7, kl_score: null })
})

test.each([
  [{ eval_type_id: 'absorption' }, 'eval_type_id'],
  [{ eval_type_id: 'core' }, 'eval_result_metrics'],
  [{ eval_type_id: 'core', eval_result_metrics: { sparsity: { l0: 'many' } } }, 'sparsity.l0'],
  [null, 'eval_type_id'],
])('refuses %j and names the field', (content, field) => {
  expect(() => readSaebenchCore({ file: 'x.json', content })).toThrow(`field: ${field}`)
})

// SAEBench's core result file (adamkarvonen/SAEBench, evals/core/eval_output.py) from our figures, and back: the same
// categories and keys, so that two files compare line by line. Where its definition differs from ours, `differences`
// says how. SAEBench writes -1 where a number is missing, and so do we in its files.
import { randomUUID } from 'node:crypto'
import { InputError } from '@mistudio/files'
import { densities } from '@mistudio/sae'
import type { MetricName } from './metric_table.ts'
import type { EvaluationSums } from './reconstruction.ts'
import type { Evaluation } from './report.ts'
import type { WeightMetrics } from './weight_metrics.ts'

/** Its keys by category, and our metric of the same definition. */
export const saebenchKeys = {
  model_behavior_preservation: {
    kl_div_score: 'kl_score',
    kl_div_with_ablation: 'kl_zero',
    kl_div_with_sae: 'kl_spliced',
  },
  model_performance_preservation: {
    ce_loss_score: 'ce_score',
    ce_loss_with_ablation: 'ce_zero',
    ce_loss_with_sae: 'ce_spliced',
    ce_loss_without_sae: 'ce_clean',
  },
  reconstruction_quality: { explained_variance: 'explained_variance', mse: 'mse', cossim: 'cosine' },
  shrinkage: {
    l2_norm_in: 'l2_norm_in',
    l2_norm_out: 'l2_norm_out',
    l2_ratio: 'l2_ratio',
    relative_reconstruction_bias: 'relative_reconstruction_bias',
  },
  sparsity: { l0: 'l0', l1: 'l1' },
} as const satisfies Record<string, Record<string, MetricName & keyof Evaluation>>

export const saebenchDifferences = [
  'explained_variance: SAEBench (up to 0.6.0) squares activations before averaging where it means the mean activation; here 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², as SAELens since 6.45.1',
  'explained_variance_legacy: an average of per-token ratios, about the mean of each batch of eval_config.batch_size_prompts contexts',
  'mse: SAEBench (up to 0.6.0) divides once more by the tokens of a batch; here the mean over tokens, as SAELens since 6.45.2',
  'ablation: zeroed at unmasked positions alone; SAEBench zeroes masked positions too',
  'relative_reconstruction_bias: from sums over all tokens; SAEBench averages the ratios of the batches',
] as const

type Numbers = Record<string, number>
const known = (value: number | null): number => (value === null || Number.isNaN(value) ? -1 : value)

/** The object of one result file. */
export function saebenchCore(options: {
  evaluation: Evaluation
  sums: EvaluationSums
  weights: WeightMetrics | null
  run: { model: string; dataset: string; contextSize: number; batchContexts: number }
  sae: { name: string; config: unknown }
}): Record<string, unknown> {
  const { evaluation, sums, weights, run, sae } = options
  const metrics: Record<string, Numbers> = {}
  for (const [category, keys] of Object.entries(saebenchKeys)) {
    metrics[category] = Object.fromEntries(
      Object.entries(keys).map(([key, ours]) => [key, known(evaluation[ours as MetricName & 'fvu'])]),
    )
  }
  metrics.reconstruction_quality.explained_variance_legacy =
    sums.rows === 0 ? -1 : known(sums.legacyExplained / sums.rows)
  const reconstructed = evaluation.kl_tokens + evaluation.ce_masked_tokens
  const encoded = evaluation.tokens + evaluation.masked_tokens
  metrics.token_stats = {
    total_tokens_eval_reconstruction: reconstructed,
    total_tokens_eval_sparsity_variance: encoded,
  }
  metrics.misc_metrics = miscMetrics(sums, weights)
  const batches = (tokens: number) => Math.ceil(tokens / run.contextSize / run.batchContexts)
  return {
    eval_type_id: 'core',
    eval_config: {
      model_name: run.model,
      llm_dtype: 'float32',
      batch_size_prompts: run.batchContexts,
      n_eval_reconstruction_batches: batches(reconstructed),
      n_eval_sparsity_variance_batches: batches(encoded),
      dataset: run.dataset,
      context_size: run.contextSize,
      compute_kl: true,
      compute_ce_loss: true,
      compute_l2_norms: true,
      compute_sparsity_metrics: true,
      compute_variance_metrics: true,
      compute_featurewise_density_statistics: true,
      compute_featurewise_weight_based_metrics: weights !== null,
      exclude_special_tokens_from_reconstruction: true,
      verbose: false,
    },
    eval_id: randomUUID(),
    datetime_epoch_millis: Date.now(),
    eval_result_metrics: metrics,
    eval_result_details: featureMetrics(sums, weights),
    sae_bench_commit_hash: 'Unknown',
    sae_lens_id: sae.name,
    sae_lens_release_id: null,
    sae_lens_version: null,
    sae_cfg_dict: sae.config,
    eval_result_unstructured: { tool: 'mistudio', differences: saebenchDifferences },
  }
}

function miscMetrics(sums: EvaluationSums, weights: WeightMetrics | null): Numbers {
  const density = [...(densities(sums) ?? [])]
  const total = density.reduce((sum, value) => sum + value, 0)
  const share = (above: number) =>
    density.length === 0 ? -1 : density.filter(value => value > above).length / density.length
  const mass = (above: number) =>
    total > 0 ? density.filter(value => value > above).reduce((sum, value) => sum + value, 0) / total : 0
  const mean = (values: Float64Array | undefined) =>
    values === undefined ? -1 : values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    freq_over_1_percent: share(0.01),
    freq_over_10_percent: share(0.1),
    normalized_freq_over_1_percent: mass(0.01),
    normalized_freq_over_10_percent: mass(0.1),
    average_max_encoder_cosine_sim: mean(weights?.maxEncoderCosine),
    average_max_decoder_cosine_sim: mean(weights?.maxDecoderCosine),
    frac_alive: share(0),
  }
}

/** `consistent_activation_heuristic`: tokens at which a latent fires, per context in which it does. */
function featureMetrics(sums: EvaluationSums, weights: WeightMetrics | null): Numbers[] {
  return Array.from(densities(sums) ?? [], (density, index) => {
    const of = (values: ArrayLike<number> | undefined) => known(values === undefined ? null : values[index])
    return {
      index,
      feature_density: density,
      consistent_activation_heuristic: known(sums.fired[index] / sums.firedContexts[index]),
      encoder_bias: of(weights?.encoderBias),
      encoder_norm: of(weights?.encoderNorm),
      encoder_decoder_cosine_sim: of(weights?.encoderDecoderCosine),
      max_decoder_cosine_sim: of(weights?.maxDecoderCosine),
      max_encoder_cosine_sim: of(weights?.maxEncoderCosine),
    }
  })
}

/** The figures of a SAEBench core result file under our names; -1 and absent ones are null. */
export function readSaebenchCore(options: {
  file: string
  content: unknown
}): Partial<Record<MetricName, number | null>> {
  const { file, content } = options
  const fail = (field: string, found: unknown, expected: string) =>
    new InputError({
      message: 'this is not a result file of SAEBench’s core evaluation',
      file,
      field,
      found: JSON.stringify(found)?.slice(0, 80) ?? 'nothing',
      expected,
    })
  const object = content as { eval_type_id?: unknown; eval_result_metrics?: unknown } | null
  if (object?.eval_type_id !== 'core') throw fail('eval_type_id', object?.eval_type_id, '"core"')
  const categories = object.eval_result_metrics
  if (typeof categories !== 'object' || categories === null) {
    throw fail('eval_result_metrics', categories, 'an object of categories')
  }
  const result: Partial<Record<MetricName, number | null>> = {}
  for (const [category, keys] of Object.entries(saebenchKeys)) {
    const values = (categories as Record<string, Record<string, unknown> | undefined>)[category]
    for (const [key, ours] of Object.entries(keys) as [string, MetricName][]) {
      const value = values?.[key] ?? null
      if (value !== null && typeof value !== 'number') throw fail(`${category}.${key}`, value, 'a number')
      result[ours] = value === -1 ? null : value
    }
  }
  return result
}

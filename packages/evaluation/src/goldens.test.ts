// The same figures as SAELens's own evaluation, on the demo model, for SAEs and tokens of oracle/evaluation_goldens.py,
// where the definitions agree. Masked positions of ablations, which SAELens zeroes too, are compared with
// TransformerLens runs that leave them alone.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ContextSource } from '@mistudio/capture'
import { openModel } from '@mistudio/model'
import { densities, loadSae } from '@mistudio/sae'
import { openWorkerPool } from '@mistudio/tensor'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Evaluation, type EvaluationSums, evaluateSaes } from './evaluate.ts'
import { openEvaluation } from './open.ts'
import { saebenchKeys } from './saebench.ts'

type Golden = {
  special: number
  input_ids: number[][]
  /** With masked positions left alone: ce_clean, ce_zero, ce_mean, kl_zero, kl_mean. */
  kept: Record<string, number>
  saes: Record<
    string,
    {
      metrics: Record<string, Record<string, number>>
      features: { feature_density: number[]; consistent_activation_heuristic: (number | null)[] }
    }
  >
}

const path = (name: string) => fileURLToPath(new URL(`../fixtures/evaluation/${name}`, import.meta.url))
const golden: Golden = JSON.parse(readFileSync(path('golden.json'), 'utf8'))
const names = Object.keys(golden.saes)
const contextSize = golden.input_ids[0].length

const source: ContextSource = {
  contextSize,
  contexts: golden.input_ids.length,
  read({ first, count, ids, mask }) {
    for (let c = 0; c < count; c++) {
      golden.input_ids[first + c].forEach((id, t) => {
        ids[c * contextSize + t] = id
        mask[c * contextSize + t] = id === golden.special ? 0 : 1
      })
    }
  },
}

const found = new Map<string, Evaluation & { sums: EvaluationSums }>()
beforeAll(async () => {
  const pool = await openWorkerPool({ count: 2 })
  const dir = fileURLToPath(new URL('../../../assets/demo/model', import.meta.url))
  const model = await openModel({ dir })
  const saes = names.map(name => ({ sae: loadSae({ dir: path(name) }) }))
  const opened = await openEvaluation({ model, pool, contextSize, saes })
  const results = await evaluateSaes({ ...opened, pool, source, split: 'golden' })
  for (const [i, result] of results.entries()) found.set(names[i], result)
  await opened.close()
  model.weights.close()
  await pool.close()
}, 120_000)

/** Equal to 1e-4 of the value: SAELens adds in float32. */
const near = (ours: number | null, theirs: number) =>
  expect(Math.abs(ours! - theirs) / Math.max(Math.abs(theirs), 1e-9)).toBeLessThan(1e-4)

/** SAELens ablates masked positions too, so these differ by definition. */
const byAblation = ['kl_div_score', 'kl_div_with_ablation', 'ce_loss_score', 'ce_loss_with_ablation']

describe.each(names)('the %s SAE', name => {
  const { metrics, features } = golden.saes[name]
  const pairs = Object.entries(saebenchKeys).flatMap(([category, keys]) =>
    Object.entries(keys).map(([key, ours]) => [key, ours, metrics[category][key]] as const),
  )

  test.each(pairs.filter(([key]) => !byAblation.includes(key)))('%s is our %s', (_, ours, theirs) => {
    near(found.get(name)![ours], theirs)
  })

  test.each(['ce_clean', 'ce_zero', 'ce_mean', 'kl_zero', 'kl_mean'] as const)(
    '%s is TransformerLens’s, masked positions left alone',
    metric => near(found.get(name)![metric], golden.kept[metric]),
  )

  test('explained_variance_legacy, densities and the activation heuristic are SAELens’s', () => {
    const { sums, tokens } = found.get(name)!
    near(sums.legacyExplained / tokens, metrics.reconstruction_quality.explained_variance_legacy)
    const density = densities(sums)!
    expect(density).toHaveLength(features.feature_density.length)
    for (const [i, value] of density.entries()) {
      expect(value).toBeCloseTo(features.feature_density[i], 5)
      const heuristic = features.consistent_activation_heuristic[i]
      const ours = sums.fired[i] / sums.firedContexts[i]
      if (heuristic === null) expect(ours).toBeNaN()
      else expect(ours).toBeCloseTo(heuristic, 5)
    }
  })

  test('token counts are SAELens’s with the masked ones taken off', () => {
    const { tokens, masked_tokens } = found.get(name)!
    expect(tokens + masked_tokens).toBe(metrics.token_stats.total_tokens_eval_sparsity_variance)
    expect(masked_tokens).toBe(golden.input_ids.flat().filter(id => id === golden.special).length)
  })
})

// The demo's result for a person: the SAEs in a table, then the most readable features with their examples.

import { bytes, count, duration, figure, percent, table, visible } from '../../frame/output.ts'
import { presentExamples } from '../shared/present_examples.ts'
import type { DemoFeature, DemoResult, DemoSae } from './result.ts'

export async function presentDemo(result: DemoResult): Promise<string> {
  const { saes, extractions, features, seconds, peak_rss_bytes, gemm_gflops, stopped } = result
  if (stopped !== undefined) return `Stopped: saved in ${stopped.savedTo}; ${stopped.how}.`
  const shown: string[] = []
  for (const feature of features) shown.push(await presentFeature(feature), '')
  return [
    table({
      head: ['SAE of', 'd_sae', 'k', 'trained on', 'FVU', 'L0', 'never fired', 'ΔCE', 'CE score'],
      rows: saes.map(rowOf),
    }),
    `On held-out documents: FVU, L0 and never fired over ${count(result.evaluated_tokens)} tokens, ` +
      `ΔCE (nats a token) over ${count(result.ce_tokens)}.`,
    '',
    ...shown,
    'All features, and one with its examples:',
    ...extractions.map(({ path }) => `  npx mistudio feature show --extraction ${path}`),
    '',
    `${duration(seconds)}, at most ${bytes(peak_rss_bytes)} resident; matrix product of this machine: ${figure(gemm_gflops)} GFLOP/s.`,
  ].join('\n')
}

const rowOf = (sae: DemoSae): string[] => [
  sae.hook_point,
  count(sae.d_sae),
  count(sae.k),
  count(sae.tokens),
  figure(sae.fvu),
  figure(sae.l0),
  percent(sae.dead_fraction),
  figure(sae.delta_ce),
  figure(sae.ce_score),
]

/** A heading and one line an example. */
async function presentFeature({ hook_point, feature, examples }: DemoFeature): Promise<string> {
  // " while" and "while" say the same to a person.
  const words = [...new Set(feature.peak_tokens.map(token => token.trim() || token))]
  const peaks = words.map(word => `"${visible(word)}"`).join(' ')
  const heading = `${hook_point}, feature ${feature.feature}: fires on ${percent(feature.density)} of the tokens, peaks at ${peaks}`
  return `${heading}\n${await presentExamples(examples)}`
}

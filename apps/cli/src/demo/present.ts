// The demo's result for a person: the SAEs in a table, then the most readable features with their examples.
import { bytes, count, duration, figure, percent, table, visible } from '../output.ts'
import type { DemoExample, DemoFeature, DemoResult, DemoSae } from './result.ts'

/** Characters of text shown before and after a peak token. */
const charactersBefore = 50
const charactersAfter = 30

export function presentDemo(result: DemoResult): string {
  const { saes, features, seconds, peak_rss_bytes, gemm_gflops, stopped } = result
  if (stopped !== undefined) return `Stopped: saved in ${stopped.savedTo}; ${stopped.how}.`
  return [
    table({
      head: ['SAE of', 'd_sae', 'k', 'trained on', 'FVU', 'L0', 'never fired', 'ΔCE', 'CE score'],
      rows: saes.map(rowOf),
    }),
    `Held-out documents: FVU, L0 and never fired over ${count(result.evaluated_tokens)} tokens, ` +
      `ΔCE (nats a token) over ${count(result.ce_tokens)}.`,
    '',
    ...features.flatMap(feature => [presentFeature(feature), '']),
    ...result.extractions.map(
      ({ hook_point, path }) => `All features of ${hook_point}: mistudio feature show --extraction ${path}`,
    ),
    '',
    `${duration(seconds)}, at most ${bytes(peak_rss_bytes)} resident; this machine's matrix product: ${figure(gemm_gflops)} GFLOP/s.`,
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

/** A heading and one line an example, the peak tokens marked and under each other. */
export function presentFeature({ hook_point, feature, density, peak_tokens, examples }: DemoFeature): string {
  const peaks = peak_tokens.map(token => `"${visible(token)}"`).join(', ')
  return [
    `${hook_point} feature ${feature}: fires on ${percent(density)} of the tokens, peaks at ${peaks}`,
    ...examples.map(exampleLine),
  ].join('\n')
}

/** `  12.3  …before «peak» after…  (scripture)` */
export function exampleLine({ tokens, peak, peak_activation, store }: DemoExample): string {
  const before = [...visible(tokens.slice(0, peak).join(''))].slice(-charactersBefore).join('')
  const after = [...visible(tokens.slice(peak + 1).join(''))].slice(0, charactersAfter).join('')
  return `  ${figure(peak_activation).padStart(6)}  ${before.padStart(charactersBefore)}«${visible(tokens[peak])}»${after.padEnd(charactersAfter)}  (${store})`
}

// What the demo prints, from a result made by hand.
import { expect, it } from 'vitest'
import { presentDemo } from './present.ts'
import type { DemoResult } from './result.ts'

const figures = { ce_clean: 3, ce_spliced: 3.25, ce_zero: 8, delta_ce: 0.25, ce_score: 0.95 }
const sae = { path: 'data/sae', hook_point: 'blocks.2.hook_mlp_out', d_sae: 4096, k: 32, tokens: 1_048_576 }
const example = {
  feature: 7,
  kind: 'top' as const,
  rank: 0,
  bin: 3,
  peak_activation: 5.5,
  store: 'databases',
  document: 0,
  source_file: 'databases.jsonl',
  source_row: 0,
  context: 0,
  position: 2,
  window_start: 0,
  tokens: [1, 2, 3, 4],
  token_texts: ['x\n', ' a', ' SELECT', ' b'],
  activations: [0, 0, 5.5, 0],
}
const feature = {
  feature: 7,
  fired: 12,
  density: 0.004,
  max: 5.5,
  mean: 2,
  histogram: [],
  peak_histogram: [],
  top_examples: 1,
  quantile_examples: 0,
  readability: 1,
  peak_tokens: [' SELECT', 'SELECT', '\n'],
  top_token_ids: null,
  top_tokens: null,
  top_logits: null,
  bottom_token_ids: null,
  bottom_tokens: null,
  bottom_logits: null,
}
const result: DemoResult = {
  saes: [{ ...sae, fvu: 0.161, l0: 32, dead_fraction: 0.01, ...figures }],
  extractions: [{ path: 'data/features', hook_point: sae.hook_point, features: 4000 }],
  seconds: 200,
  peak_rss_bytes: 2 * 1024 ** 3,
  features: [{ hook_point: sae.hook_point, feature, examples: [example] }],
  gemm_gflops: 265.4,
  evaluated_tokens: 129_898,
  ce_tokens: 32_222,
}

it('shows the SAEs with what was measured on how much, and features with the peak marked', async () => {
  const text = await presentDemo(result)
  expect(text).toMatch(/blocks\.2\.hook_mlp_out +4,096 +32 +1,048,576 +0\.161 +32\.0 +1\.0 % +0\.250 +0\.950/)
  expect(text).toContain('over 129,898 tokens, ΔCE (nats a token) over 32,222')
  expect(text).toContain('feature 7: fires on 0.4 % of the tokens, peaks at "SELECT" "⏎"')
  expect(text).toMatch(/5\.50 {2}x⏎ a\[\[ SELECT\]\] b {2}\(databases\)/)
  expect(text).toContain('3 min 20 s, at most 2.0 GiB resident; matrix product of this machine: 265 GFLOP/s')
  expect(text).toContain('npx mistudio feature show --extraction data/features')
})

it('says where a stopped run saved', async () => {
  const stopped = { savedTo: 'data/demo', how: 'run the same command to go on' }
  expect(await presentDemo({ ...result, stopped })).toBe(
    'Stopped: saved in data/demo; run the same command to go on.',
  )
})

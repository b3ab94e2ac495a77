// What the demo takes and gives. `saes`, `extractions`, `seconds` and `peak_rss_bytes` are its --json output.
import type { Example, Feature } from '@mistudio/feature'

export type DemoSpec = {
  /** Absolute; everything the demo makes lies in it. */
  dataDir: string
  threads: number | undefined
  seed: number
}

export type DemoSae = {
  path: string
  hook_point: string
  d_sae: number
  k: number
  /** Tokens it was trained on. */
  tokens: number
  /** All figures from the held-out documents; definitions in packages/sae/src/metrics.ts. */
  fvu: number | null
  l0: number | null
  dead_fraction: number | null
  ce_clean: number | null
  ce_spliced: number | null
  ce_zero: number | null
  delta_ce: number | null
  ce_score: number | null
}

export type DemoExtraction = { path: string; hook_point: string; features: number }

/** One of the most readable features, with the examples to show. */
export type DemoFeature = { hook_point: string; feature: Feature; examples: Example[] }

export type DemoResult = {
  saes: DemoSae[]
  extractions: DemoExtraction[]
  seconds: number
  peak_rss_bytes: number
  /** For people only. */
  features: DemoFeature[]
  gemm_gflops: number
  /** Tokens behind the held-out figures. */
  evaluated_tokens: number
  ce_tokens: number
  stopped?: { savedTo: string; how: string }
}

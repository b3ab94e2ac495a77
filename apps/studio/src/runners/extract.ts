// Extract: the features of one SAE. Progress is told by the main thread, which watches the board.
import { join } from 'node:path'
import { withCapture } from '@mistudio/capture'
import { createProgressBoard, extractFeatures, inputHooks } from '@mistudio/feature'
import { loadSae } from '@mistudio/sae'
import { withWorkerPool } from '@mistudio/tensor'
import type { Work } from './context.ts'

export const extract: Work<'extract'> = async (spec, { signal, threads, board }) => {
  const { modelDir, cacheDir, stores, saeDir, config, out } = spec
  const sae = loadSae({ dir: saeDir })
  const { split } = config
  const request = {
    models: [modelDir],
    hooks: inputHooks([sae]),
    cacheDir,
    texts: { stores, split },
    tokenizer: true,
  }
  const [summary] = await withWorkerPool({ threads }, pool =>
    withCapture({ pool, ...request }, capture =>
      extractFeatures({
        pool,
        capture,
        split,
        saes: [{ sae, out: join(out, 'extraction') }],
        maxTokens: config.max_tokens,
        examplesPerFeature: config.examples_per_feature,
        contextTokens: { before: config.context_prefix_tokens, after: config.context_suffix_tokens },
        seed: config.seed,
        board: createProgressBoard({ buffer: board }),
        signal,
      }),
    ),
  )
  const { features, features_alive: featuresAlive, tokens, complete } = summary
  return { kind: 'extract', features, featuresAlive, tokens, complete }
}

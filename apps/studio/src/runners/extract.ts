// Extract: the features of one SAE. Progress is told by the main thread, which watches the board.
import { join } from 'node:path'
import { checkTokenizer, openTokenStore, type TokenStore } from '@mistudio/corpus'
import { createProgressBoard, extractFeatures } from '@mistudio/feature'
import { checkStore, contextsPerCall, openModel, openTokenizer } from '@mistudio/model'
import { loadSae } from '@mistudio/sae'
import { withLanes } from '@mistudio/tensor'
import type { Work } from './context.ts'

export const extract: Work<'extract'> = async (spec, { signal, threads, board }) => {
  const { modelDir, cacheDir, saeDir, config, out } = spec
  const model = await openModel({ dir: modelDir, cacheDir })
  const tokenizer = openTokenizer({ dir: modelDir })
  const stores: TokenStore[] = []
  try {
    for (const dir of spec.stores) stores.push(openTokenStore({ dir }))
    for (const store of stores) {
      checkStore({ store, model })
      checkTokenizer({ store, tokenizer })
    }
    const [summary] = await withLanes({ threads }, lanes =>
      extractFeatures({
        lanes,
        model,
        tokenizer,
        stores,
        split: config.split,
        saes: [{ sae: loadSae({ dir: saeDir }), out: join(out, 'extraction') }],
        maxTokens: config.max_tokens,
        examplesPerFeature: config.examples_per_feature,
        contextTokens: { before: config.context_prefix_tokens, after: config.context_suffix_tokens },
        contextsPerCall: contextsPerCall(stores[0].contextSize),
        seed: config.seed,
        board: createProgressBoard({ buffer: board }),
        signal,
      }),
    )
    const { features, features_alive: featuresAlive, tokens, complete } = summary
    return { kind: 'extract', features, featuresAlive, tokens, complete }
  } finally {
    for (const store of stores) store.close()
  }
}

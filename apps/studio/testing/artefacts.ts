// Files as jobs leave them, without the jobs: an SAE, and an extraction with a few features.
import { createCollector, tokenTexts, writeExtraction } from '@mistudio/feature'
import { byteTokenizer } from '@mistudio/feature/testing/feature_support.ts'
import { saveUntrained } from '@mistudio/training'

/** The width of the demo's model. */
export const demoWidth = 256

export async function writeSae(options: { dir: string; hookPoint: string; dIn: number }): Promise<string> {
  const { dir, hookPoint, dIn } = options
  const dSae = 8
  const weights = {
    wEnc: new Float32Array(dIn * dSae),
    bEnc: new Float32Array(dSae),
    wDec: new Float32Array(dIn * dSae),
    bDec: new Float32Array(dIn),
  }
  await saveUntrained({ dir, dIn, dSae, k: 2, weights, modelName: 'any', hookPoint, contextSize: 64 })
  return dir
}

/** Features 1 to 5 of 6 fire as often as their number says, at the first token of their contexts; 0 never. */
export async function writeExtractionFolder(options: { dir: string; sourceFile: string }): Promise<void> {
  const { dir, sourceFile } = options
  const contextSize = 4
  const span = { hook: 'blocks.0.hook_resid_post', width: 2 }
  const owner = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5]
  const contexts = owner.length
  const length = contexts * contextSize
  const collector = createCollector({ features: 6, contextSize, seed: 1, examplesPerFeature: 3 })
  collector.add({
    contexts,
    firstContext: 0,
    ids: Int32Array.from({ length }, (_, i) => 65 + (i % 26)),
    mask: new Uint8Array(length).fill(1),
    hits: [
      {
        firstRow: 0,
        rows: length,
        starts: Int32Array.from({ length: length + 1 }, (_, i) => Math.ceil(i / contextSize)),
        index: Int32Array.from(owner),
        value: Float32Array.from(owner, (_, context) => 10 - (context * contextSize) / 100),
      },
    ],
  })
  await writeExtraction({
    out: dir,
    collector,
    origin: {
      sae: {
        dir: 'sae',
        hooks: { inputs: [span], outputs: [span] },
        shape: { dIn: 2, dSae: 6, dOut: 2 },
        k: 1,
        architecture: 'topk',
        family: 'topk',
      },
      model: { dir: 'model', name: 'tiny' },
      stores: [{ dir: 'store', name: 'store' }],
      split: 'train',
      tokensRead: length,
      contexts,
      contextSize,
      seed: 1,
      complete: true,
      window: { before: 24, after: 16 },
      quantilesPerBin: 2,
    },
    originOf: ({ context }) => ({
      store: 'store',
      context,
      document: context,
      sourceFile,
      sourceRow: context,
    }),
    texts: tokenTexts({ tokenizer: byteTokenizer }),
  })
}

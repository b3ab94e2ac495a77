// Which features the demo shows: the most readable of each SAE, no two with the same peak token, from as many
// datasets as there are.
import { type FeatureWithExamples, openExtraction } from '@mistudio/feature'
import type { DemoExtraction, DemoFeature } from './result.ts'

const featuresPerSae = 3
const candidatesPerSae = 60
const examplesShown = 4

export async function pickFeatures(extractions: readonly DemoExtraction[]): Promise<DemoFeature[]> {
  const picked: DemoFeature[] = []
  const peaks = new Set<string>()
  const shown = new Map<string, number>()
  for (const { path, hook_point } of extractions) {
    const extraction = await openExtraction({ dir: path })
    try {
      const candidates: FeatureWithExamples[] = []
      for (const { feature } of await extraction.features({ limit: candidatesPerSae })) {
        candidates.push(await extraction.feature(feature))
      }
      for (let n = 0; n < featuresPerSae; n++) {
        const fresh = candidates.filter(({ peak_tokens: [peak = ''] }) => !peaks.has(plain(peak)))
        // Among the readable ones, the dataset shown least comes first; the order of readability stays.
        const least = Math.min(...fresh.map(candidate => shown.get(mainStore(candidate)) ?? 0))
        const next = fresh.find(candidate => (shown.get(mainStore(candidate)) ?? 0) === least)
        if (next === undefined) break
        peaks.add(plain(next.peak_tokens[0] ?? ''))
        shown.set(mainStore(next), least + 1)
        const { top, quantile: _, ...feature } = next
        picked.push({ hook_point, feature, examples: top.slice(0, examplesShown) })
      }
    } finally {
      extraction.close()
    }
  }
  return picked
}

const plain = (token: string) => token.trim().toLowerCase()

/** The dataset most of the top examples come from. */
function mainStore({ top }: FeatureWithExamples): string {
  const counts = new Map<string, number>()
  for (const { store } of top) counts.set(store, (counts.get(store) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? ''
}

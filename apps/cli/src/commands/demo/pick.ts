// Which features the demo shows: readable ones that belong to one dataset, from every dataset in turn, no two with
// the same peak token. A choice for display; the figures beside a feature are its own.
import { type FeatureWithExamples, openExtraction } from '@mistudio/feature'
import type { DemoExtraction, DemoFeature } from './result.ts'

const featuresPerSae = 3
const candidatesPerSae = 50
const examplesShown = 4
/** Shorter peak tokens say little to a person. */
const fewestLetters = 4

export async function pickFeatures(extractions: readonly DemoExtraction[]): Promise<DemoFeature[]> {
  const picked: DemoFeature[] = []
  const peaks = new Set<string>()
  const shown = new Map<string, number>()
  for (const { path, hook_point } of extractions) {
    const candidates = await candidatesOf(path)
    for (let n = 0; n < featuresPerSae; n++) {
      const fresh = candidates.filter(({ peak }) => !peaks.has(peak))
      const least = Math.min(...fresh.map(({ store }) => shown.get(store) ?? 0))
      const next = fresh.find(({ store }) => (shown.get(store) ?? 0) === least)
      if (next === undefined) break
      peaks.add(next.peak)
      shown.set(next.store, least + 1)
      const { top, quantile: _, ...feature } = next.found
      picked.push({ hook_point, feature, examples: top.slice(0, examplesShown) })
    }
  }
  return picked
}

type Candidate = { found: FeatureWithExamples; store: string; peak: string; score: number }

/** Readable features, those whose top examples come from one dataset first. */
async function candidatesOf(path: string): Promise<Candidate[]> {
  const extraction = await openExtraction({ dir: path })
  try {
    const candidates: Candidate[] = []
    const plain = (tokens: string[]) => (tokens[0] ?? '').trim().toLowerCase()
    const listed = await extraction.features({ limit: 20 * candidatesPerSae })
    const named = listed.filter(({ peak_tokens }) => plain(peak_tokens).length >= fewestLetters)
    for (const { feature, readability, peak_tokens } of named.slice(0, candidatesPerSae)) {
      const found = await extraction.feature(feature)
      const { store, share } = mainStore(found)
      candidates.push({ found, store, peak: plain(peak_tokens), score: readability * share })
    }
    return candidates.sort((a, b) => b.score - a.score)
  } finally {
    extraction.close()
  }
}

/** The dataset most of the top examples come from, and their share. */
function mainStore({ top }: FeatureWithExamples): { store: string; share: number } {
  const counts = new Map<string, number>()
  for (const { store } of top) counts.set(store, (counts.get(store) ?? 0) + 1)
  const [store = '', count = 0] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? []
  return { store, share: top.length === 0 ? 0 : count / top.length }
}

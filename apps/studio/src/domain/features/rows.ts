// A finished extraction's features as rows: what lists show, sort and search. Examples stay in the Parquet file.
import type { NlpSummary } from '@mistudio/contract'
import type { Extraction } from '@mistudio/feature'
import type { features } from '../../db/schema.ts'

type FeatureRow = typeof features.$inferInsert

/** Every feature that fired; the others have nothing to show. */
export async function featureRows(options: {
  extraction: Extraction
  extractionId: string
}): Promise<FeatureRow[]> {
  const { extraction, extractionId } = options
  const found = await extraction.features({ sortBy: 'feature', limit: extraction.info.features })
  const strongest = new Map((await extraction.strongest()).map(example => [example.feature, example]))
  return found.map(feature => {
    const example = strongest.get(feature.feature)
    const peak = example === undefined ? 0 : example.position - example.window_start
    const snippet =
      example === undefined
        ? null
        : {
            before: example.token_texts.slice(0, peak).join(''),
            peak: example.token_texts[peak],
            after: example.token_texts.slice(peak + 1).join(''),
          }
    const words = [String(feature.feature), ...feature.peak_tokens, ...(feature.top_tokens ?? [])]
    return {
      extraction_id: extractionId,
      feature: feature.feature,
      fired: feature.fired,
      density: feature.density,
      max: feature.max,
      mean: feature.mean,
      readability: feature.readability,
      top_examples: feature.top_examples,
      peak_tokens: feature.peak_tokens,
      top_tokens: feature.top_tokens,
      snippet,
      search_text: searchable([
        ...words,
        snippet === null ? '' : snippet.before + snippet.peak + snippet.after,
      ]),
    }
  })
}

/** What a search finds by the analysis: appended to the row's own text. */
export const nlpSearchText = (nlp: NlpSummary) =>
  `\n${searchable([nlp.summary, ...nlp.peak_words.map(({ text }) => text), ...nlp.words.map(({ text }) => text)])}`

/** Postgres text holds no NUL. */
const searchable = (texts: string[]) => texts.join('\n').toLowerCase().replaceAll('\0', '')

// What every view of a feature shows of its row: no analysis, no search text.
import { featureIdOf } from '@mistudio/contract'
import { features } from '../../db/schema.ts'

export const featureColumns = {
  extraction_id: features.extraction_id,
  feature: features.feature,
  fired: features.fired,
  density: features.density,
  max: features.max,
  mean: features.mean,
  readability: features.readability,
  top_examples: features.top_examples,
  peak_tokens: features.peak_tokens,
  top_tokens: features.top_tokens,
  nlp_summary: features.nlp_summary,
  snippet: features.snippet,
}

export const featureIdIn = ({
  extraction_id,
  feature,
}: Pick<typeof features.$inferSelect, 'extraction_id' | 'feature'>) =>
  featureIdOf({ extractionId: extraction_id, feature })

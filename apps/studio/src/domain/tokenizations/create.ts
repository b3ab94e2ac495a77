// A tokenization by itself; trainings and extractions make those that they need (ensure.ts).
import type { Tokenization } from '@mistudio/contract'
import type { Services } from '../services.ts'
import { ensureTokenization } from './ensure.ts'
import { findTokenization } from './find.ts'
import { checkContextSize, lockTexts } from './texts.ts'

/** @returns the one that is there, or a new one that is queued */
export async function createTokenization(
  services: Services,
  options: { datasetId: string; modelId: string; contextSize: number },
): Promise<Tokenization> {
  const { db, log, host } = services
  const { datasetId, modelId, contextSize } = options
  let id = ''
  await log.write(async tx => {
    const { texts, model } = await lockTexts(tx, { datasetIds: [datasetId], modelId, field: 'dataset_id' })
    checkContextSize({ size: contextSize, model, field: 'context_size' })
    const ensured = await ensureTokenization(tx, { text: texts[0], model, contextSize })
    id = ensured.id
    return ensured.events
  })
  host.wake()
  return findTokenization(db, id)
}

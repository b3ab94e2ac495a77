// Whether something still happens to an extraction or its analysis.
import { type Extraction, type Stage, stageOf } from '@mistudio/contract'

const ended: readonly Stage[] = ['COMPLETED', 'FAILED', 'CANCELLED']

export const isActive = (extraction: Pick<Extraction, 'status' | 'nlp_status'>): boolean =>
  !ended.includes(stageOf(extraction))

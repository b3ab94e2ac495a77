// Which channel to follow: an entity's own while something may still happen to it, none once it is over.
import {
  channelOf,
  type Extraction,
  isTerminal,
  type Stage,
  stageOf,
  type Tokenization,
  type Training,
  tokenizationMachine,
  trainingMachine,
} from '@mistudio/contract'

export const isEnded = ({ status }: Pick<Training, 'status'>) => isTerminal(trainingMachine, status)

const ended: readonly Stage[] = ['COMPLETED', 'FAILED', 'CANCELLED']

/** Whether an extraction or its analysis has not finished. */
export const isActive = (extraction: Pick<Extraction, 'status' | 'nlp_status'>): boolean =>
  !ended.includes(stageOf(extraction))

export const channelWhileActive = {
  training: (training: Training) => (isEnded(training) ? null : channelOf.training(training.id)),
  extraction: (extraction: Extraction) => (isActive(extraction) ? channelOf.extraction(extraction.id) : null),
  tokenization: ({ id, status }: Tokenization) =>
    isTerminal(tokenizationMachine, status) ? null : channelOf.tokenization(id),
}

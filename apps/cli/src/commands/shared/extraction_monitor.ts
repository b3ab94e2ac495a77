// Watches an extraction from the main thread, whose timers run while the job computes and writes: what a person
// sees, and the extraction:progress events of --events. Shared by `feature extract` and the demo.
import type { ExtractionEvent, ProgressBoard } from '@mistudio/feature'
import type { JobEvent, Monitor } from '../../frame/command.ts'
import { count } from '../../frame/output.ts'

/**
 * @param options.id names the channel, extraction/ID
 * @param options.begin `now`, or with the first word of the extraction, where other work comes before it
 */
export async function monitorExtraction(options: {
  id: string
  begin: 'now' | 'with the extraction'
  onEvent: (event: JobEvent) => void
}): Promise<Monitor> {
  const { id, begin, onEvent } = options
  const { createProgressBoard, createProgressEmitter } = await import('@mistudio/feature')
  const board = createProgressBoard()
  const emitter = createProgressEmitter({
    extractionId: id,
    board,
    emit: event => onEvent(asJobEvent(event, board)),
  })
  let state: 'waiting' | 'begun' | 'ended' = 'waiting'
  const start = () => {
    if (state !== 'waiting') return
    state = 'begun'
    emitter.start()
  }
  if (begin === 'now') start()
  else void board.changed(0, Number.POSITIVE_INFINITY).then(start)
  return {
    board: board.buffer,
    end({ failed, stopped }) {
      const begun = state === 'begun'
      state = 'ended'
      if (!begun || stopped) emitter.stop()
      else if (failed !== undefined) emitter.failed({ message: failed })
      else emitter.completed()
    },
  }
}

const stages = {
  loading: 'loading the extraction',
  extracting: 'extracting features',
  writing: 'writing features',
} as const

function asJobEvent(event: ExtractionEvent, board: ProgressBoard): JobEvent {
  const { phase, samples_processed, total_samples, features_in_heap, heap_examples_count } = event.data
  const { features_written, features_to_write } = board.read()
  const figures = { features: count(features_in_heap), examples: count(heap_examples_count) }
  const progress =
    phase === 'writing'
      ? { done: features_written, total: features_to_write, unit: 'features' }
      : { done: samples_processed, total: total_samples, unit: 'contexts' }
  return { kind: 'progress', progress: { stage: stages[phase], ...progress, figures }, wire: event }
}

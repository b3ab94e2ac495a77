// Progress events of an extraction: channel extraction/{id}, emitted every 2 seconds or at each 5 % boundary,
// whichever comes first: (now − last ≥ 2.0 s) or ⌊20·progress⌋ > ⌊20·previous⌋. The rule is checked after each
// batch and, from start to completed, by a timer in this thread, which never computes: an extraction that is
// loading, writing or in a slow batch never looks stalled.
import type { EventData, EventName } from '@mistudio/contract'
import type { ProgressBoard } from './progress_board.ts'
import { createRate } from './rate.ts'

export const emitEverySeconds = 2
/** Events at each twentieth. */
const boundaries = 20

/** Fields of every event, except those only the studio knows; clients merge only the fields an event has. */
export type ExtractionEventData = Omit<
  EventData<'extraction:progress'>,
  'status' | 'nlp_status' | 'stage'
> & {
  status: 'extracting' | 'completed' | 'failed'
  /** In extraction:failed. */
  error_message?: string
}

export type ExtractionEventName = Extract<
  EventName,
  'extraction:progress' | 'extraction:completed' | 'extraction:failed'
>

export type ExtractionEvent = { channel: string; event: ExtractionEventName; data: ExtractionEventData }

/** Time, replaced in tests: a monotonic clock in seconds and a timer that returns its canceller. */
export type ProgressClock = {
  now(): number
  after(seconds: number, call: () => void): () => void
}

export const systemClock: ProgressClock = {
  now: () => performance.now() / 1000,
  after(seconds, call) {
    const timer = setTimeout(call, Math.max(0, seconds * 1000))
    return () => clearTimeout(timer)
  },
}

export interface ProgressEmitter {
  /** Starts: emits the first event immediately; from then on events are at most 2.1 s apart. */
  start(): void
  /** Call after each batch: emits if the rule says so. Not needed if `watch` is on. */
  batchDone(): void
  /** The last event, with progress 1. Nothing is emitted afterwards. */
  completed(): void
  failed(options: { message: string }): void
  /** Stops without an event. */
  stop(): void
}

/**
 * Watches a board and emits. Lives in the thread that owns timers; the computing thread only writes the board.
 * @param options.watch check the board whenever it is written (Atomics.waitAsync); default true
 */
export function createProgressEmitter(options: {
  extractionId: string
  board: ProgressBoard
  emit: (event: ExtractionEvent) => void
  clock?: ProgressClock
  watch?: boolean
}): ProgressEmitter {
  const { extractionId, board, emit, clock = systemClock, watch = true } = options
  const channel = `extraction/${extractionId}`
  const rate = createRate()
  let state: 'new' | 'running' | 'ended' = 'new'
  let last = 0
  let previous = 0
  let cancel = () => {}

  function dataOf(status: ExtractionEventData['status']): ExtractionEventData {
    const { phase, features_written: _, features_to_write: __, ...counters } = board.read()
    const { samples_processed: done, total_samples: total } = counters
    const { moving, mean } = rate.at(clock.now(), done, phase === 'loading')
    return {
      extraction_id: extractionId,
      status,
      phase,
      progress: total > 0 ? Math.min(1, done / total) : 0,
      ...counters,
      samples_per_second: moving,
      mean_samples_per_second: mean,
      eta_seconds: moving > 0 ? Math.ceil(Math.max(0, total - done) / moving) : null,
    }
  }

  function send(event: ExtractionEventName, data: ExtractionEventData): void {
    last = clock.now()
    previous = data.progress
    emit({ channel, event, data })
  }

  /** The rule. The timer is reset after each event, so events are 2 s apart and not 2 s plus a tick. */
  function check(): void {
    if (state !== 'running') return
    const data = dataOf('extracting')
    // Computed as in `arm`: with a difference, rounding could make every timer look early.
    const due = clock.now() >= last + emitEverySeconds
    const crossed = Math.floor(boundaries * data.progress) > Math.floor(boundaries * previous)
    if (!due && !crossed) return
    send('extraction:progress', data)
    arm()
  }

  function arm(): void {
    cancel()
    // A timer may fire slightly early by this clock; then it is set again for the rest.
    cancel = clock.after(last + emitEverySeconds - clock.now(), () => {
      if (state !== 'running') return
      const before = last
      check()
      if (last === before) arm()
    })
  }

  async function follow(): Promise<void> {
    while (state === 'running') {
      const seen = board.version()
      check()
      await board.changed(seen, 1000 * emitEverySeconds)
    }
  }

  function end(event: ExtractionEventName, data: ExtractionEventData): void {
    if (state === 'ended') return
    state = 'ended'
    cancel()
    send(event, data)
  }

  return {
    start() {
      if (state !== 'new') return
      state = 'running'
      rate.start(clock.now())
      send('extraction:progress', dataOf('extracting'))
      arm()
      if (watch) void follow()
    },
    batchDone: check,
    completed: () => end('extraction:completed', { ...dataOf('completed'), progress: 1, eta_seconds: 0 }),
    failed: ({ message }) => end('extraction:failed', { ...dataOf('failed'), error_message: message }),
    stop() {
      state = 'ended'
      cancel()
    },
  }
}

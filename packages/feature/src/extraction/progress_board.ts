// Passes counters from the computing thread to the thread that owns timers and sockets. A seqlock over
// shared memory: the writer never waits, a reader never sees half an update. So a batch that takes a minute
// does not stop the timer thread from reporting progress.
import type { EventData } from '@mistudio/contract'

type Told = EventData<'extraction:progress'>
/** By their numbers on the board. */
const phases: readonly Told['phase'][] = ['loading', 'extracting', 'writing']

/** Counters of an extraction; a sample is one context of the token store. */
export type ProgressCounters = Pick<
  Told,
  | 'phase'
  | 'current_batch'
  | 'total_batches'
  | 'samples_processed'
  | 'total_samples'
  | 'features_in_heap'
  | 'heap_examples_count'
> & {
  /** While writing, over all SAEs: for display, not part of the event. */
  features_written: number
  features_to_write: number
}

const fields = [
  'current_batch',
  'total_batches',
  'samples_processed',
  'total_samples',
  'features_in_heap',
  'heap_examples_count',
  'features_written',
  'features_to_write',
] as const

export interface ProgressBoard {
  /** Post this to the other thread and give it to `createProgressBoard` there. */
  readonly buffer: SharedArrayBuffer
  /** Sets the given counters and wakes a waiting reader. Only one thread may write. */
  write(counters: Partial<ProgressCounters>): void
  read(): ProgressCounters
  /** Resolves at the next write after `version`, immediately if there was one; 'timed-out' after the timeout. */
  changed(version: number, timeoutMs: number): Promise<'changed' | 'timed-out'>
  /** Counts writes; even when no write is in progress. */
  version(): number
}

/** A reader gives up on the writer after this many tries: it was terminated in the middle of a write. */
const readAttempts = 10_000

/** Makes a board, or joins the one in `buffer`. */
export function createProgressBoard(options: { buffer?: SharedArrayBuffer } = {}): ProgressBoard {
  const { buffer = new SharedArrayBuffer(8 + 8 * (fields.length + 1)) } = options
  const version = new Int32Array(buffer, 0, 1)
  // Atomic 64-bit cells: with plain ones the engine could move a read past the check of the version.
  const cells = new BigInt64Array(buffer, 8)
  let last: ProgressCounters | undefined

  function copy(): ProgressCounters {
    const at = (i: number) => Number(Atomics.load(cells, i))
    return {
      phase: phases[at(0)] ?? 'loading',
      current_batch: at(1),
      total_batches: at(2),
      samples_processed: at(3),
      total_samples: at(4),
      features_in_heap: at(5),
      heap_examples_count: at(6),
      features_written: at(7),
      features_to_write: at(8),
    }
  }

  return {
    buffer,
    write(counters) {
      Atomics.add(version, 0, 1)
      if (counters.phase !== undefined) Atomics.store(cells, 0, BigInt(phases.indexOf(counters.phase)))
      fields.forEach((field, i) => {
        const value = counters[field]
        if (value !== undefined) Atomics.store(cells, i + 1, BigInt(value))
      })
      Atomics.add(version, 0, 1)
      Atomics.notify(version, 0)
    },
    read() {
      for (let attempt = 0; attempt < readAttempts; attempt++) {
        const before = Atomics.load(version, 0)
        if ((before & 1) === 1) continue
        const found = copy()
        if (Atomics.load(version, 0) !== before) continue
        last = found
        return found
      }
      return last ?? copy()
    },
    async changed(seen, timeoutMs) {
      const outcome = Atomics.waitAsync(version, 0, seen, timeoutMs)
      const result = outcome.async ? await outcome.value : outcome.value
      return result === 'timed-out' ? 'timed-out' : 'changed'
    },
    version: () => Atomics.load(version, 0),
  }
}

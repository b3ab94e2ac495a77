// What a runner's work gets beside its spec. It runs in the runner's coordinating thread; the main thread owns the
// pipe, the signals and the timer, and never computes.
import type { ResultOf, RunnerEvent, RunnerSpec, SpecOf, WorkName } from './spec.ts'

export type RunnerContext = {
  emit(event: RunnerEvent): void
  /** True once the host asked to stop: save what there is and return. */
  signal: { stopped(): boolean }
  /** Compute threads; undefined: one a core. */
  threads?: number
  /** Progress counters in shared memory, watched by the main thread. */
  board: SharedArrayBuffer
}

export type Work<W extends WorkName> = (spec: SpecOf<W>, context: RunnerContext) => Promise<ResultOf<W>>

export type WorkerData = {
  spec: RunnerSpec
  threads?: number
  stop: SharedArrayBuffer
  board: SharedArrayBuffer
}

const everySeconds = 2
const boundaries = 20

/**
 * When work that counts by itself tells how far it is: at first, every two seconds, at each twentieth, at the end.
 * @returns true when progress, 0 to 1, is to be told
 */
export function progressRule(): (progress: number) => boolean {
  let last = Number.NEGATIVE_INFINITY
  let previous = 0
  return progress => {
    const now = performance.now() / 1000
    const boundary = Math.floor(boundaries * progress)
    if (now - last < everySeconds && boundary === previous && progress < 1) return false
    last = now
    previous = boundary
    return true
  }
}

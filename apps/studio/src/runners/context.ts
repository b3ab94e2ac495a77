// What a runner's work gets beside its spec. It runs in the runner's coordinating thread; the main thread owns the
// pipe, the signals and the timer, and never computes.
import type { RunnerEvent, RunnerResult, RunnerSpec } from './spec.ts'

export type RunnerContext = {
  emit(event: RunnerEvent): void
  /** True once the host asked to stop: save what there is and return. */
  signal: { stopped(): boolean }
  /** Compute threads; undefined: one a core. */
  threads?: number
  /** Progress counters in shared memory, watched by the main thread. */
  board: SharedArrayBuffer
}

export type Work<K extends RunnerSpec['kind']> = (
  spec: Extract<RunnerSpec, { kind: K }>,
  context: RunnerContext,
) => Promise<Extract<RunnerResult, { kind: K }>>

export type WorkerData = {
  spec: RunnerSpec
  threads?: number
  stop: SharedArrayBuffer
  board: SharedArrayBuffer
}

/** Calls at most every `seconds`, and whenever `always` says so. */
export function throttle(seconds: number): (always: boolean) => boolean {
  let last = Number.NEGATIVE_INFINITY
  return always => {
    const now = performance.now() / 1000
    if (!always && now - last < seconds) return false
    last = now
    return true
  }
}

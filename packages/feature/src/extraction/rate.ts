// Samples per second for display: over the last seconds, and over the whole run.

/** The moving window; longer if a batch takes longer. */
const windowSeconds = 5

export interface RateMeter {
  start(now: number): void
  /**
   * Records `done` samples at `now`. The moving window starts after `loading`.
   * @returns samples per second, both 0 until the first sample
   */
  at(now: number, done: number, loading?: boolean): { moving: number; mean: number }
}

/**
 * `moving`: samples since the latest moment that is at least 5 s ago (or the start) and is before the last
 * change, over the time since: with slow batches the window grows until it holds one, and while nothing
 * arrives the rate falls slowly instead of dropping to 0. `mean`: all samples over the time from start to the last change.
 * Times in seconds.
 */
export function createRate(): RateMeter {
  let marks: { time: number; done: number }[] = []
  let start = 0
  return {
    start(now) {
      start = now
      marks = [{ time: now, done: 0 }]
    },
    at(now, done, loading = false) {
      if (marks.length === 0) throw new Error('the meter was not started')
      if (loading && marks.length === 1) marks[0].time = now
      if (done > marks[marks.length - 1].done) marks.push({ time: now, done })
      if (marks.length < 2) return { moving: 0, mean: 0 }
      while (marks.length > 2 && now - marks[1].time >= windowSeconds) marks.shift()
      const [base] = marks
      const newest = marks[marks.length - 1]
      const over = (samples: number, seconds: number) => (seconds > 0 ? samples / seconds : 0)
      return { moving: over(newest.done - base.done, now - base.time), mean: over(done, newest.time - start) }
    },
  }
}

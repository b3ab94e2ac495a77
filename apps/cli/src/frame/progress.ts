// Progress for a person: one line that is rewritten on a terminal, a plain line now and then elsewhere.
// The ETA of a stage comes from its rate over the last half minute, so that a pause does not spoil it for long.
import type { Progress } from './command.ts'
import { count, duration, figure, widthOf } from './output.ts'

const windowSeconds = 30
const rewriteSeconds = 0.1
const plainSeconds = 10

/** The rate and what is left of the current stage, from the times at which progress was told. */
export type Pace = {
  /** Units a second over the window; null while unknown. */
  rate: number | null
  /** Seconds left of the stage; null while unknown. */
  etaSeconds: number | null
}

/** Measures the pace of one stage after another. `now` in seconds. */
export function createPace(): (progress: Progress, now: number) => Pace {
  let stage: string | undefined
  let samples: { time: number; done: number }[] = []
  return (progress, now) => {
    if (progress.stage !== stage || progress.done < (samples.at(-1)?.done ?? 0)) {
      stage = progress.stage
      samples = []
    }
    samples.push({ time: now, done: progress.done })
    while (samples.length > 2 && samples[0].time < now - windowSeconds) samples.shift()
    const [first] = samples
    const seconds = now - first.time
    const rate = seconds > 0 && progress.done > first.done ? (progress.done - first.done) / seconds : null
    const left = Math.max(0, progress.total - progress.done)
    return { rate, etaSeconds: left === 0 ? 0 : rate === null ? null : left / rate }
  }
}

/** `training  45 %  450,000 of 1,000,000 tokens  21,000/s  26 s left  fvu 0.213` */
function progressLine({ progress, pace }: { progress: Progress; pace: Pace }): string {
  const { stage, done, total, unit, figures = {} } = progress
  const parts = [stage]
  if (total > 0)
    parts.push(`${Math.floor((100 * done) / total)} %`, `${count(done)} of ${count(total)} ${unit}`)
  if (pace.rate !== null) parts.push(`${count(Number(pace.rate.toPrecision(3)))}/s`)
  if (pace.etaSeconds !== null && done < total) parts.push(`${duration(Math.ceil(pace.etaSeconds))} left`)
  for (const [name, value] of Object.entries(figures)) {
    parts.push(`${name} ${typeof value === 'string' ? value : figure(value)}`)
  }
  return parts.join('  ')
}

export type Screen = {
  progress(progress: Progress): void
  note(text: string): void
  end(): void
}

/**
 * Shows progress on `write` (stderr).
 * @param options.columns width of the terminal, undefined where there is none
 * @param options.now clock in seconds
 */
export function createScreen({
  write,
  columns,
  now = () => performance.now() / 1000,
}: {
  write: (text: string) => void
  columns: number | undefined
  now?: () => number
}): Screen {
  const paceOf = createPace()
  let shownAt = Number.NEGATIVE_INFINITY
  let shownStage: string | undefined
  let shownFinished = false
  let onLine = false
  const clear = () => {
    if (onLine) write('\r\u001b[K')
    onLine = false
  }
  return {
    progress(progress) {
      const time = now()
      const pace = paceOf(progress, time)
      const finished = progress.done >= progress.total
      const fresh = progress.stage !== shownStage
      if (finished && shownFinished && !fresh) return
      if (!fresh && !finished && time - shownAt < (columns === undefined ? plainSeconds : rewriteSeconds))
        return
      if (columns !== undefined && fresh && onLine) {
        write('\n')
        onLine = false
      }
      shownAt = time
      shownStage = progress.stage
      shownFinished = finished
      const line = progressLine({ progress, pace })
      if (columns === undefined) {
        write(`${line}\n`)
        return
      }
      clear()
      write(cut(line, columns - 1))
      onLine = true
    },
    note(text) {
      clear()
      write(`${text}\n`)
    },
    end() {
      if (onLine) write('\n')
      onLine = false
    },
  }
}

function cut(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line
  let kept = ''
  for (const character of line) {
    if (widthOf(kept + character) > columns - 1) break
    kept += character
  }
  return `${kept}…`
}

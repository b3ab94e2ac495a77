// A job as a person or a program sees it: run in its thread, its progress on the screen or printed as JSON lines, the
// stop signals passed on.
import type { JobCommand, JobEvent, Progress } from './command.ts'
import { runJob } from './job.ts'
import { createPace, createScreen } from './progress.ts'
import { onStopSignals } from './signals.ts'

/**
 * @param options.worker the script of the job's thread
 * @param options.printEvents takes progress as JSON lines; without it the screen shows it
 * @returns `stopped`: Ctrl-C ended it before it was done
 */
export async function perform(options: {
  command: JobCommand
  spec: unknown
  worker: URL
  printEvents: ((line: string) => void) | undefined
}): Promise<{ result: unknown; stopped: boolean }> {
  const { command, spec, worker, printEvents } = options
  const screen = createScreen({
    write: text => process.stderr.write(text),
    // A terminal that does not know its width says 0.
    columns: process.stderr.isTTY ? process.stderr.columns || 80 : undefined,
  })
  const lineOf = eventLines()
  const onEvent = (event: JobEvent) => {
    if (printEvents !== undefined) printEvents(JSON.stringify(lineOf(event)))
    else if (event.kind === 'progress') screen.progress(event.progress)
    else screen.note(event.text)
  }
  const monitor = await command.monitor?.(spec, onEvent)
  const job = runJob({ name: command.name, spec, worker, board: monitor?.board, onEvent })
  let stopped = false
  const release = onStopSignals(() => {
    stopped = true
    screen.note('stopping: what is done is being saved (Ctrl-C again ends at once)')
    job.stop()
  })
  try {
    const result = await job.result
    const ended = stopped && isStopped(result)
    monitor?.end({ stopped: ended })
    return { result, stopped: ended }
  } catch (error) {
    monitor?.end({ failed: error instanceof Error ? error.message : String(error) })
    throw error
  } finally {
    release()
    screen.end()
  }
}

/** What --events prints of each event: that of the wire where there is one, else the job's own. */
function eventLines(): (event: JobEvent) => object {
  const paceOf = createPace()
  return event => {
    if (event.kind === 'note') return { event: 'job:note', status: 'running', text: event.text }
    return event.wire ?? progressEvent(event.progress)
  }

  function progressEvent(progress: Progress) {
    const { rate, etaSeconds } = paceOf(progress, performance.now() / 1000)
    const { stage, done, total, unit, figures } = progress
    const fraction = total > 0 ? done / total : 0
    const eta_seconds = etaSeconds === null ? null : Math.ceil(etaSeconds)
    return {
      event: 'job:progress',
      status: 'running',
      stage,
      progress: fraction,
      done,
      total,
      unit,
      per_second: rate,
      eta_seconds,
      ...figures,
    }
  }
}

/** A job that was done before it saw the flag is done, not stopped. */
function isStopped(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'stopped' in result && result.stopped !== undefined
}

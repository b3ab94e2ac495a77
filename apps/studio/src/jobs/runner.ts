// A runner as the job host sees it; runner_process.ts starts real ones.
import type { RunnerEvent, RunnerResult, RunnerSpec } from '../runners/spec.ts'

export type RunnerEnd =
  | { kind: 'result'; result: RunnerResult }
  /** The runner says why: the input was at fault, or we were. Trying again would not help. */
  | { kind: 'failed'; message: string }
  /** The process is gone without a word: killed, or out of memory. */
  | { kind: 'crashed'; message: string }

export type Runner = {
  pid: number
  /** With the pid, names the process: a pid alone may be another one by now. */
  startedAt: string
  /** Asks it to save what there is and end with a result. */
  stop(): void
  kill(): void
  ended: Promise<RunnerEnd>
}

export type StartRunner = (options: {
  spec: RunnerSpec
  threads?: number
  onMessage: (event: RunnerEvent) => void
  /** Awaited before the runner is given its spec: it does nothing until then. */
  beforeSpec?: (process: { pid: number; startedAt: string }) => Promise<void>
}) => Promise<Runner>

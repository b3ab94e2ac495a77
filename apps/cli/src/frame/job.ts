// The bridge between the command and its job. The job runs in a worker thread, so that the main thread never
// computes and always answers signals and timers; what crosses are a plain spec, plain events and a stop flag
// in shared memory. The worker is never terminated: that aborts the process inside ONNX Runtime.
import { Worker } from 'node:worker_threads'
import { InputError, type InputErrorDetails } from '@mistudio/files'
import { type JobEvent, StoppedEarly } from './command.ts'

/** What the job's thread posts. */
export type JobMessage =
  | JobEvent
  | { kind: 'result'; result: unknown }
  | { kind: 'failed'; message: string; stack?: string; details?: InputErrorDetails; stopped?: boolean }

export type JobData = { name: string; spec: unknown; stop: SharedArrayBuffer; board?: SharedArrayBuffer }

export type RunningJob = {
  /** The job's result; rejects with an InputError or with the job's error, its stack included. */
  result: Promise<unknown>
  /** Asks the job to save what it has and to return. */
  stop(): void
}

/**
 * Starts the job of a command in a thread of its own.
 * @param options.name the command's name, e.g. `sae train`
 * @param options.spec plain data, as the command's `spec` made it
 * @param options.worker the script of that thread
 * @param options.onEvent called on this thread for every event, in order
 */
export function runJob({
  name,
  spec,
  worker: script,
  board,
  onEvent,
}: {
  name: string
  spec: unknown
  worker: URL
  board?: SharedArrayBuffer
  onEvent: (event: JobEvent) => void
}): RunningJob {
  const stop = new SharedArrayBuffer(4)
  const worker = new Worker(script, {
    workerData: { name, spec, stop, board } satisfies JobData,
  })
  const result = new Promise<unknown>((resolve, reject) => {
    worker.on('message', (message: JobMessage) => {
      if (message.kind === 'result') resolve(message.result)
      else if (message.kind === 'failed') reject(errorOf(message))
      else onEvent(message)
    })
    worker.on('error', reject)
    worker.on('exit', code =>
      reject(new Error(`the job's thread ended with code ${code} before it was done`)),
    )
  })
  return { result, stop: () => Atomics.store(new Int32Array(stop), 0, 1) }
}

function errorOf({ message, stack, details, stopped }: JobMessage & { kind: 'failed' }): Error {
  if (details !== undefined) return new InputError(details)
  if (stopped === true) return new StoppedEarly(message)
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}

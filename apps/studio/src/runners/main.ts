// The process of a job. The host sends a spec over Node's IPC channel; events and one result go back. This thread
// owns the channel, the signals and the two-second timer; a worker thread coordinates, and its workers compute. When
// the channel closes, the host is gone, and so are we: whatever is half done is done again by the next attempt.
import { Worker } from 'node:worker_threads'
import { createProgressEmitter, type ProgressEmitter } from '@mistudio/feature/progress'
import { createProgressBoard } from '@mistudio/feature/progress_board'
import type { WorkerData } from './context.ts'
import type { HostMessage, RunnerEvent, RunnerMessage, RunnerSpec } from './spec.ts'

const stop = new SharedArrayBuffer(4)
const board = createProgressBoard()
let kind: RunnerSpec['kind'] | undefined
let ending = false

// Not process.exit: that would end a worker inside ONNX Runtime, which aborts with noise.
const vanish = () => process.kill(process.pid, 'SIGKILL')
process.on('disconnect', vanish)
// The host may have gone before we listened.
if (!process.connected) vanish()
// Ctrl-C reaches every process of the terminal; what it means for a job is the host's to say.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('SIGTERM', askToStop)

process.on('message', (message: HostMessage) => {
  switch (message.kind) {
    case 'spec':
      return run(message.spec, message.threads)
    case 'stop':
      return askToStop()
  }
})

function askToStop(): void {
  // Half a token store is worth nothing: there is no result to wait for.
  if (kind === 'tokenize') vanish()
  Atomics.store(new Int32Array(stop), 0, 1)
}

function run(spec: RunnerSpec, threads: number | undefined): void {
  kind = spec.kind
  // From the very start: an extraction that loads for a minute says so.
  const emitter = spec.kind === 'extract' ? watch(spec.extractionId) : undefined
  const workerData: WorkerData = { spec, threads, stop, board: board.buffer }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
  worker.on('message', (message: RunnerMessage) => {
    if (message.kind === 'event') send(message)
    else end(message, emitter)
  })
  const fail = (message: string, stack?: string) => end({ kind: 'failed', message, stack }, emitter)
  worker.on('error', error => fail(error.message, error.stack))
  worker.on('exit', code => fail(`the runner's thread ended with code ${code}`))
}

function watch(extractionId: string): ProgressEmitter {
  const emitter = createProgressEmitter({
    extractionId,
    board,
    emit({ event, data: { status: _status, error_message: _error, ...data } }) {
      if (event !== 'extraction:failed') send({ kind: 'event', event: { event, data } as RunnerEvent })
    },
  })
  emitter.start()
  return emitter
}

function send(message: RunnerMessage): void {
  process.send?.(message)
}

/** Sends the last message and leaves once it is on its way; only the first one counts. */
function end(message: Exclude<RunnerMessage, { kind: 'event' }>, emitter: ProgressEmitter | undefined): void {
  if (ending) return
  ending = true
  const complete = message.kind === 'result' && message.result.kind === 'extract' && message.result.complete
  if (complete) emitter?.completed()
  else emitter?.stop()
  // The workers are closed by now, so nothing computes that the exit could cut off.
  process.send?.(message, () => process.exit(message.kind === 'result' ? 0 : 1))
}

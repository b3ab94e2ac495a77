// The coordinating thread of a runner: finds the work of the spec's kind and posts what comes of it.
import { parentPort, workerData } from 'node:worker_threads'
import { InputError } from '@mistudio/files'
import type { RunnerContext, WorkerData } from './context.ts'
import type { RunnerMessage, RunnerResult, RunnerSpec } from './spec.ts'

const { spec, threads, stop, board } = workerData as WorkerData
const port = parentPort
if (port === null) throw new Error('worker.ts must run as a worker thread')

const post = (message: RunnerMessage) => port.postMessage(message)
const flag = new Int32Array(stop)
const context: RunnerContext = {
  emit: event => post({ kind: 'event', event }),
  signal: { stopped: () => Atomics.load(flag, 0) === 1 },
  threads,
  board,
}

/** Loaded when it is needed: a tokenization needs no ONNX Runtime. */
async function work(spec: RunnerSpec): Promise<RunnerResult> {
  switch (spec.kind) {
    case 'tokenize':
      return (await import('./tokenize.ts')).tokenize(spec, context)
    case 'train':
      return (await import('./train.ts')).train(spec, context)
    case 'extract':
      return (await import('./extract.ts')).extract(spec, context)
    case 'finalise':
      return (await import('./finalise.ts')).finalise(spec, context)
    case 'probe':
      return (await import('./probe.ts')).probe(spec, context)
    case 'nlp':
      return (await import('./nlp.ts')).nlp(spec, context)
  }
}

try {
  post({ kind: 'result', result: await work(spec) })
} catch (error) {
  const known = error instanceof Error ? error : new Error(String(error))
  // A person can mend bad input: file, field, found and expected are in its message. Our own faults show where.
  const stack = known instanceof InputError ? undefined : known.stack
  post({ kind: 'failed', message: known.message, stack })
}

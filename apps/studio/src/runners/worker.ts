// The coordinating thread of a runner: finds the work of the spec's kind and posts what comes of it.
import { parentPort, workerData } from 'node:worker_threads'
import { InputError } from '@mistudio/files'
import type { RunnerContext, Work, WorkerData } from './context.ts'
import type { ResultOf, RunnerMessage, SpecOf, WorkName } from './spec.ts'

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

/**
 * The work is the export of its name: of the file of that name here, or of the module that the spec gives. Loaded when it
 * is needed: a tokenization needs no ONNX Runtime.
 */
async function perform<W extends WorkName>(spec: SpecOf<W>): Promise<ResultOf<W>> {
  const { kind, module = `./${kind}.ts` } = spec
  const exported = (await import(module)) as { [K in WorkName]?: Work<K> }
  const work = exported[kind as W]
  if (work === undefined) throw new Error(`${module} exports no ${kind}`)
  return await work(spec, context)
}

try {
  post({ kind: 'result', result: await perform(spec) })
} catch (error) {
  const known = error instanceof Error ? error : new Error(String(error))
  // A person can mend bad input: file, field, found and expected are in its message. Our own faults show where.
  const stack = known instanceof InputError ? undefined : known.stack
  post({ kind: 'failed', message: known.message, stack })
}

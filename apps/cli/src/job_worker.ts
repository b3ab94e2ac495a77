// The job's thread: runs one job of one command and ends. See job.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { InputError } from '@mistudio/files'
import { commands } from './commands.ts'
import { type JobContext, StoppedEarly } from './frame/command.ts'
import type { JobData, JobMessage } from './frame/job.ts'

const { name, spec, stop, board } = workerData as JobData
const port = parentPort
if (port === null) throw new Error('job_worker.ts must run as a worker thread')

const post = (message: JobMessage) => port.postMessage(message)
const flag = new Int32Array(stop)
const context: JobContext = {
  progress: (progress, wire) => post({ kind: 'progress', progress, wire }),
  note: text => post({ kind: 'note', text }),
  signal: { stopped: () => Atomics.load(flag, 0) === 1 },
  board,
}

try {
  const command = commands.find(candidate => candidate.name === name)
  if (command === undefined || !('job' in command)) throw new Error(`there is no job ${name}`)
  post({ kind: 'result', result: await command.job(spec, context) })
} catch (error) {
  const known = error instanceof Error ? error : new Error(String(error))
  const details = error instanceof InputError ? error.details : undefined
  const stopped = error instanceof StoppedEarly
  post({ kind: 'failed', message: known.message, stack: known.stack, details, stopped })
}

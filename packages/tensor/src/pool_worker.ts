// One worker of the pool: the thread behind worker_pool.ts. It answers one request at a time, in order.
// Inputs and preallocated outputs of ONNX Runtime are views of the shared memories, so a graph writes its output
// where the next kernel reads it.
import { parentPort, workerData } from 'node:worker_threads'
import { bf16OfBits } from '@mistudio/files'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { instantiateKernels, type Kernels } from './kernels.ts'
import { stopName } from './onnx.ts'
import type {
  Arg,
  CopyStep,
  RowPlace,
  Step,
  Task,
  View,
  WorkerAnswer,
  WorkerRequest,
  WorkerSetup,
} from './worker_pool.ts'

const { worker, kernels, counter } = workerData as WorkerSetup
const port = parentPort
if (port === null) throw new Error('pool_worker.ts must run as a worker thread')

const next = new Int32Array(counter)
const memories = new Map<number, { buffer: SharedArrayBuffer; kernels: Kernels }>()
const sessions = new Map<number, InferenceSession>()
/** Lists that are run repeatedly. */
const lists = new Map<number, readonly Task[]>()

// A shared flag would do as well, but answers in order are what the coordinating thread waits for.
let queue: Promise<void> = Promise.resolve()
port.on('message', (request: WorkerRequest) => {
  queue = queue.then(() => answer(request))
})

async function answer(request: WorkerRequest): Promise<void> {
  const reply: WorkerAnswer = { job: request.job }
  try {
    await perform(request)
  } catch (error) {
    reply.error = error instanceof Error ? error.message : String(error)
  }
  port!.postMessage(reply)
  if (request.kind === 'close') port!.close()
}

async function perform(request: WorkerRequest): Promise<void> {
  switch (request.kind) {
    case 'memory': {
      const buffer = request.memory.buffer as unknown as SharedArrayBuffer
      memories.set(request.id, { buffer, kernels: instantiateKernels(kernels, request.memory) })
      return
    }
    case 'release':
      memories.delete(request.id)
      return
    case 'session': {
      const options: InferenceSession.SessionOptions = {
        intraOpNumThreads: request.threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        // Only what ends the process: errors are reported by the rejected promise.
        logSeverityLevel: 4,
        extra: {
          session: {
            // A spinning thread pool takes cores from the other workers.
            intra_op: { allow_spinning: '0' },
            disable_prepacking: request.prepack ? '0' : '1',
          },
        },
      }
      const { graph } = request
      const session =
        typeof graph === 'string'
          ? await InferenceSession.create(graph, options)
          : await InferenceSession.create(graph, options)
      sessions.set(request.id, session)
      return
    }
    case 'closeSession': {
      const session = sessions.get(request.id)
      sessions.delete(request.id)
      await session?.release()
      return
    }
    case 'run':
      return runTasks(tasksOf(request))
    case 'close':
      for (const session of sessions.values()) await session.release()
      sessions.clear()
  }
}

function tasksOf({ tasks, list, forget }: Extract<WorkerRequest, { kind: 'run' }>): readonly Task[] {
  if (forget !== undefined) lists.delete(forget)
  if (list !== undefined && tasks !== undefined) lists.set(list, tasks)
  const found = tasks ?? lists.get(list!)
  if (found === undefined) throw new Error(`there is no list of tasks ${list} in worker ${worker}`)
  return found
}

async function runTasks(tasks: readonly Task[]): Promise<void> {
  for (;;) {
    const index = Atomics.add(next, 0, 1)
    const task = tasks[index]
    if (task === undefined) return
    try {
      for (const step of task) await runStep(step)
    } catch (error) {
      Atomics.store(next, 0, tasks.length)
      throw error
    }
  }
}

async function runStep(step: Step): Promise<void> {
  if ('kernel' in step) {
    const kernel = memoryOf(step.memory).kernels[step.kernel]
    if (kernel === undefined) throw new Error(`there is no kernel ${step.kernel}`)
    kernel(...step.args.map(resolve))
    return
  }
  if ('copy' in step) return copyRows(step)
  const session = sessions.get(step.session)
  if (session === undefined) throw new Error(`there is no session ${step.session} in worker ${worker}`)
  await runSession(session, tensors(step.inputs), tensors(step.outputs))
}

/** Runs a graph of onnx.ts, whose first output stops the copying of the others (`stopName`). */
async function runSession(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: Record<string, Tensor>,
): Promise<void> {
  try {
    await session.run(feeds, { [stopName]: null, ...fetches })
  } catch (error) {
    // Thrown once the run is over and its outputs are in place.
    if (!(error instanceof Error && error.message.startsWith('Non tensor type'))) throw error
  }
}

function copyRows({ copy }: CopyStep): void {
  const { from, to, rows, count, width, fromStride = width, toStride = width } = copy
  const source = bitsAt(from)
  const target = bitsAt(to)
  if (count > 0 && (count - 1) * toStride + width > target.length)
    throw new Error('no room for the copied rows')
  if (rows === undefined && fromStride === width && toStride === width) {
    moveBits(source, 0, target, 0, count * width)
    return
  }
  const index = rows && new Int32Array(memoryOf(rows.memory).buffer, resolve(rows.offset), count)
  for (let i = 0; i < count; i++) {
    const row = index === undefined ? i : index[i]
    const start = row * fromStride
    if (start < 0 || start + width > source.length) throw new Error(`there is no row ${row} to copy`)
    moveBits(source, start, target, i * toStride, width)
  }
}

type Bits = Uint32Array | Uint16Array

/** The elements from a place to the end of its memory. */
function bitsAt({ memory, offset, dtype }: RowPlace): Bits {
  const { buffer } = memoryOf(memory)
  return dtype === 'bfloat16'
    ? new Uint16Array(buffer, resolve(offset))
    : new Uint32Array(buffer, resolve(offset))
}

function moveBits(from: Bits, start: number, to: Bits, at: number, count: number): void {
  if (from.BYTES_PER_ELEMENT === to.BYTES_PER_ELEMENT) to.set(from.subarray(start, start + count), at)
  else if (to instanceof Uint32Array) for (let i = 0; i < count; i++) to[at + i] = from[start + i] << 16
  else for (let i = 0; i < count; i++) to[at + i] = bf16OfBits(from[start + i])
}

const resolve = (arg: Arg): number => (typeof arg === 'number' ? arg : arg.base + worker * arg.stride)

function memoryOf(id: number) {
  const memory = memories.get(id)
  if (memory === undefined) throw new Error(`there is no shared memory ${id} in worker ${worker}`)
  return memory
}

function tensors(views: Record<string, View>): Record<string, Tensor> {
  const result: Record<string, Tensor> = {}
  for (const [name, view] of Object.entries(views)) result[name] = tensor(view)
  return result
}

function tensor({ memory, offset, dtype, shape }: View): Tensor {
  const { buffer } = memoryOf(memory)
  const at = resolve(offset)
  const length = shape.reduce((product, n) => product * n, 1)
  switch (dtype) {
    case 'float32':
      return new Tensor('float32', new Float32Array(buffer, at, length), shape)
    case 'int32':
      return new Tensor('int32', new Int32Array(buffer, at, length), shape)
    case 'int64':
      return new Tensor('int64', new BigInt64Array(buffer, at, length), shape)
    case 'uint8':
      return new Tensor('uint8', new Uint8Array(buffer, at, length), shape)
    case 'int8':
      return new Tensor('int8', new Int8Array(buffer, at, length), shape)
    case 'float64':
      return new Tensor('float64', new Float64Array(buffer, at, length), shape)
  }
}

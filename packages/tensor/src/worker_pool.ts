// The worker pool: the threads that compute. A worker is a thread that owns a one-thread ONNX Runtime session per
// graph and an instance of the SIMD kernels per shared memory. Work is a list of tasks, a task a list of steps
// (kernel or graph run) over shared WebAssembly memories; nothing is copied between threads.
// `session.run` blocks the thread that calls it, so no thread that owns timers or signals may be a worker, and
// two one-thread sessions are faster than one two-thread session (docs/adr/0002).
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { InputError } from '@mistudio/files'
import { loadKernels } from './kernels.ts'

const pageBytes = 65_536
/** Pointers below one page are never handed out, so that 0 can mean "none". */
const reservedBytes = pageBytes
/** A 32-bit WebAssembly memory ends at 65,536 pages = 4 GiB. */
export const memoryLimitBytes = 65_536 * pageBytes - reservedBytes

/** Most task lists kept by the workers. */
const mostKept = 64

/** A number, or `base + workerIndex * stride` for scratch of one worker. */
export type Arg = number | { base: number; stride: number }

export type ViewType = 'float32' | 'int32' | 'int64' | 'uint8' | 'int8' | 'float64'

/** A dense tensor inside a shared memory; `offset` in bytes. */
export type View = { memory: number; offset: Arg; dtype: ViewType; shape: readonly number[] }

export type KernelStep = { kernel: string; memory: number; args: Arg[] }
export type SessionStep = { session: number; inputs: Record<string, View>; outputs: Record<string, View> }
/**
 * Copies rows between memories (a kernel sees only one): `to[i] = from[rows[i]]`, or `from[i]` without `rows`.
 * `rows` are int32 row indices; `width` is in elements, and so are the distances of rows in wider matrices
 * (`fromStride`, `toStride`; default `width`). If the two sides have different types, the copy widens
 * bfloat16 exactly or rounds float32 to it (to nearest, ties to even).
 */
export type CopyStep = {
  copy: {
    from: RowPlace
    to: RowPlace
    rows?: WorkerPlace
    count: number
    width: number
    fromStride?: number
    toStride?: number
  }
}
/** A byte offset in a shared memory. */
export type Place = { memory: number; offset: number }
/** A place that may differ between workers. */
export type WorkerPlace = { memory: number; offset: Arg }
/** Number type of stored rows. */
export type StoredType = 'float32' | 'bfloat16'
/** Where a copy reads or writes rows; float32 unless it says otherwise. */
export type RowPlace = WorkerPlace & { dtype?: StoredType }
export type Step = KernelStep | SessionStep | CopyStep
export type Task = Step[]

export interface SharedMemory {
  readonly id: number
  readonly memory: WebAssembly.Memory
  /** Reserves bytes and returns their pointer. Throws if the memory is full. Zeroed only the first time. */
  alloc(bytes: number, align?: number): number
  /** The current end; `reset(mark())` frees everything allocated since. */
  mark(): number
  reset(to: number): void
  f32(pointer: number, length: number): Float32Array<SharedArrayBuffer>
  f64(pointer: number, length: number): Float64Array<SharedArrayBuffer>
  i32(pointer: number, length: number): Int32Array<SharedArrayBuffer>
  u32(pointer: number, length: number): Uint32Array<SharedArrayBuffer>
  u8(pointer: number, length: number): Uint8Array<SharedArrayBuffer>
}

export type SessionOptions = {
  /** Path of an .onnx file (external data next to it), or the bytes of a graph without external data. */
  graph: string | Uint8Array
  /** Threads of each session, default 1. More than 1 only makes sense with `worker`. */
  threads?: number
  /** Make the session in this worker only (tasks that use it need `run(tasks, { worker })`). */
  worker?: number
  /** Prepacked constant weights are faster and cost a copy of the weights per session; default true. */
  prepack?: boolean
}

export interface WorkerPool {
  readonly count: number
  memory(options: { bytes: number }): Promise<SharedMemory>
  release(memory: SharedMemory): Promise<void>
  session(options: SessionOptions): Promise<number>
  closeSession(id: number): Promise<void>
  /**
   * Runs every task once; a free worker takes the next task. Rejects with the first error.
   * `keep`: the same array will be passed repeatedly, unchanged. It is sent to the workers once, not every time.
   */
  run(tasks: readonly Task[], options?: { worker?: number; keep?: boolean }): Promise<void>
  close(): Promise<void>
}

/** What the coordinating thread sends a worker. `job` matches the answer to the request. */
export type WorkerRequest = { job: number } & (
  | { kind: 'memory'; id: number; memory: WebAssembly.Memory }
  | { kind: 'release'; id: number }
  | { kind: 'session'; id: number; graph: string | Uint8Array; threads: number; prepack: boolean }
  | { kind: 'closeSession'; id: number }
  /** `list` names tasks kept by the workers: with `tasks` the first time, then without; `forget` drops another such list. */
  | { kind: 'run'; tasks?: readonly Task[]; list?: number; forget?: number }
  | { kind: 'close' }
)
export type WorkerAnswer = { job: number; error?: string }
export type WorkerSetup = { worker: number; kernels: WebAssembly.Module; counter: SharedArrayBuffer }

/**
 * Starts the workers, one per core by default.
 * @returns a pool that must be closed; it keeps the process alive until then.
 * @example
 * const pool = await openWorkerPool({ count: 2 })
 * const memory = await pool.memory({ bytes: 1 << 20 })
 * await pool.close()
 */
export async function openWorkerPool(options: { count?: number } = {}): Promise<WorkerPool> {
  const count = options.count ?? availableParallelism()
  const kernels = loadKernels()
  // counter[0] is the index of the next task in the current list.
  const counter = new Int32Array(new SharedArrayBuffer(8))
  const threads = Array.from(
    { length: count },
    (_, worker) =>
      new Worker(new URL('./pool_worker.ts', import.meta.url), {
        workerData: { worker, kernels, counter: counter.buffer } satisfies WorkerSetup,
      }),
  )
  let jobs = 0
  let ids = 0
  let closing: Promise<void> | undefined
  let running = false
  /** Why a worker's thread is gone; set when it ends. */
  const lost: (Error | undefined)[] = threads.map(() => undefined)
  const exits = threads.map(thread => new Promise<void>(resolve => thread.once('exit', () => resolve())))
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>()
  threads.forEach((thread, worker) => {
    thread.on('message', (answer: WorkerAnswer) => {
      const key = `${answer.job}/${worker}`
      const promise = waiting.get(key)
      waiting.delete(key)
      if (answer.error === undefined) promise?.resolve()
      else promise?.reject(new Error(answer.error))
    })
    const fail = (error: Error) => {
      lost[worker] ??= error
      for (const [key, promise] of waiting) {
        if (!key.endsWith(`/${worker}`)) continue
        waiting.delete(key)
        promise.reject(error)
      }
    }
    thread.on('error', fail)
    thread.on('exit', code => fail(new Error(`compute worker ${worker} ended with code ${code}`)))
  })

  type Body = WorkerRequest extends infer R ? (R extends WorkerRequest ? Omit<R, 'job'> : never) : never
  /** Sends to the given workers and waits for all, even if one fails: none may still be computing. */
  async function ask(body: Body, only?: number): Promise<void> {
    if (closing !== undefined) throw new Error('the worker pool is closed')
    const job = jobs++
    const answers = threads.map((thread, worker) =>
      only !== undefined && only !== worker
        ? undefined
        : new Promise<void>((resolve, reject) => {
            const gone = lost[worker]
            if (gone !== undefined) return reject(gone)
            waiting.set(`${job}/${worker}`, { resolve, reject })
            thread.postMessage({ ...body, job })
          }),
    )
    const settled = await Promise.allSettled(answers)
    for (const result of settled) if (result.status === 'rejected') throw result.reason
  }

  /** In order of last use. */
  const kept = new Map<readonly Task[], number>()
  function keptRun(tasks: readonly Task[]): Body {
    const list = kept.get(tasks)
    if (list !== undefined) {
      kept.delete(tasks)
      kept.set(tasks, list)
      return { kind: 'run', list }
    }
    const made = ids++
    kept.set(tasks, made)
    if (kept.size <= mostKept) return { kind: 'run', tasks, list: made }
    const [oldest, forget] = kept.entries().next().value!
    kept.delete(oldest)
    return { kind: 'run', tasks, list: made, forget }
  }

  return {
    count,
    async memory({ bytes }) {
      const id = ids++
      const shared = sharedMemory(id, bytes)
      await ask({ kind: 'memory', id, memory: shared.memory })
      return shared
    },
    release: memory => ask({ kind: 'release', id: memory.id }),
    async session({ graph, threads = 1, worker, prepack = true }) {
      const id = ids++
      await ask({ kind: 'session', id, graph, threads, prepack }, worker)
      return id
    },
    closeSession: id => ask({ kind: 'closeSession', id }),
    async run(tasks, { worker, keep = false } = {}) {
      if (running) throw new Error('the worker pool already runs a list of tasks')
      running = true
      Atomics.store(counter, 0, 0)
      try {
        await ask(keep && worker === undefined ? keptRun(tasks) : { kind: 'run', tasks }, worker)
      } finally {
        running = false
      }
    },
    close() {
      // A worker that is terminated inside ONNX Runtime aborts the process: each ends by itself, after its
      // earlier requests. A lost worker has nothing left to close.
      closing ??= Promise.allSettled([ask({ kind: 'close' }), ...exits]).then(() => undefined)
      return closing
    },
  }
}

function sharedMemory(id: number, bytes: number): SharedMemory {
  if (bytes > memoryLimitBytes) {
    throw new InputError({
      message: 'a block of latents does not fit in one WebAssembly memory',
      field: 'bytes',
      found: String(bytes),
      expected: `at most ${memoryLimitBytes}`,
    })
  }
  const pages = Math.ceil((bytes + reservedBytes) / pageBytes) + 1
  const capped = Math.min(pages, 65_536)
  const memory = new WebAssembly.Memory({ shared: true, initial: capped, maximum: capped })
  const buffer = memory.buffer as unknown as SharedArrayBuffer
  let end = reservedBytes
  return {
    id,
    memory,
    alloc(size, align = 64) {
      const pointer = Math.ceil(end / align) * align
      if (pointer + size > buffer.byteLength) {
        throw new Error(
          `shared memory ${id} is full: ${size} bytes asked, ${buffer.byteLength - pointer} left`,
        )
      }
      end = pointer + size
      return pointer
    },
    mark: () => end,
    reset(to) {
      end = to
    },
    f32: (pointer, length) => new Float32Array(buffer, pointer, length),
    f64: (pointer, length) => new Float64Array(buffer, pointer, length),
    i32: (pointer, length) => new Int32Array(buffer, pointer, length),
    u32: (pointer, length) => new Uint32Array(buffer, pointer, length),
    u8: (pointer, length) => new Uint8Array(buffer, pointer, length),
  }
}

// One run of a model over given token ids, for inspection: logits and hook values as named tensors.
import { InputError } from '@mistudio/files'
import { openWorkerPool, type Place, type WorkerPool } from '@mistudio/tensor'
import { compileForward } from './forward.ts'
import { resolveHook } from './hooks.ts'
import type { LanguageModel } from './load.ts'
import { runOracle } from './runtimes/oracle.ts'
import { checkTokenIds } from './token_ids.ts'

export type RunOptions = {
  model: LanguageModel
  /** Rows of token ids. */
  inputIds: readonly (readonly number[])[]
  /** Hook points, or `all` of them. */
  captures: readonly string[] | 'all'
  /** Default `cpu`. */
  runtime?: 'cpu' | 'oracle'
  /** Used by the `cpu` runtime; if absent, it opens its own and closes it afterwards. */
  pool?: WorkerPool
}

export type NamedTensor = {
  name: string
  dtype: 'F32' | 'I32'
  shape: number[]
  data: Float32Array | Int32Array
}

/**
 * `logits` [rows, length, vocab] and each hook [rows, length, width]. Rows of different lengths are run separately and
 * padded with zeros at the end; then `lengths` [rows] gives their lengths.
 * @throws InputError for an unknown hook, ids beyond the vocabulary, a row that is empty or beyond the context
 */
export async function runModel(options: RunOptions): Promise<NamedTensor[]> {
  const { model, inputIds, runtime = 'cpu' } = options
  const captures = options.captures === 'all' ? model.hookPoints : [...new Set(options.captures)]
  const widths = captures.map(name => resolveHook(model.hooks, name).width)
  if (inputIds.length === 0) {
    throw new InputError({
      message: 'there are no tokens',
      field: 'input_ids',
      found: '[]',
      expected: 'rows of ids',
    })
  }
  inputIds.forEach((ids, row) => {
    checkTokenIds({ ids, config: model.config, field: `input_ids[${row}]` })
  })

  const longest = Math.max(...inputIds.map(ids => ids.length))
  const tensors = ['logits', ...captures].map((name, i): NamedTensor & { data: Float32Array } => {
    const width = i === 0 ? model.config.vocabSize : widths[i - 1]
    const shape = [inputIds.length, longest, width]
    return { name, dtype: 'F32', shape, data: new Float32Array(inputIds.length * longest * width) }
  })
  const keep: Keep = (row, name, values) => {
    const { data, shape } = tensors.find(tensor => tensor.name === name)!
    data.set(values, row * longest * shape[2])
  }
  if (runtime === 'oracle') runRows(options, captures, keep)
  else await runCalls(options, captures, keep)
  if (inputIds.every(ids => ids.length === longest)) return tensors
  const lengths = Int32Array.from(inputIds, ids => ids.length)
  return [...tensors, { name: 'lengths', dtype: 'I32', shape: [lengths.length], data: lengths }]
}

type Keep = (row: number, name: string, values: ArrayLike<number>) => void

function runRows({ model, inputIds }: RunOptions, captures: readonly string[], keep: Keep): void {
  inputIds.forEach((ids, row) => {
    const { hooks, logits } = runOracle({ model, inputIds: ids, captures })
    for (const [name, { data }] of hooks) keep(row, name, data)
    keep(row, 'logits', logits!.data)
  })
}

async function runCalls(options: RunOptions, captures: readonly string[], keep: Keep): Promise<void> {
  const pool = options.pool ?? (await openWorkerPool())
  try {
    const lengths = new Set(options.inputIds.map(ids => ids.length))
    for (const length of lengths) await runLength({ options, pool, length, captures, keep })
  } finally {
    if (options.pool === undefined) await pool.close()
  }
}

/** One graph for all rows of the same length; one row per worker at a time, so that memory stays small. */
async function runLength(work: {
  options: RunOptions
  pool: WorkerPool
  length: number
  captures: readonly string[]
  keep: Keep
}): Promise<void> {
  const { options, pool, length, captures, keep } = work
  const { model, inputIds } = options
  const rows = inputIds.flatMap((ids, row) => (ids.length === length ? [row] : []))
  const forward = await compileForward({
    model,
    pool,
    contextsPerCall: 1,
    contextSize: length,
    captures,
    logits: true,
  })
  try {
    const ports = [...forward.inputs, ...forward.outputs]
    const atOnce = Math.min(pool.count, rows.length)
    const bytesOf = (width: number) => atOnce * length * width * 4
    const bytes = ports.reduce((sum, { width }) => sum + bytesOf(width) + 64, 0)
    const memory = await pool.memory({ bytes })
    try {
      const places: Record<string, Place> = {}
      for (const { name, width } of ports)
        places[name] = { memory: memory.id, offset: memory.alloc(bytesOf(width)) }
      for (let start = 0; start < rows.length; start += atOnce) {
        const group = rows.slice(start, start + atOnce)
        group.forEach((row, i) => {
          memory.i32(places.input_ids.offset + i * length * 4, length).set(inputIds[row])
        })
        await pool.run(forward.tasks({ contexts: group.length, places }))
        group.forEach((row, i) => {
          for (const { name, width } of forward.outputs) {
            keep(row, name, memory.f32(places[name].offset + i * length * width * 4, length * width))
          }
        })
      }
    } finally {
      await pool.release(memory)
    }
  } finally {
    await forward.close()
  }
}

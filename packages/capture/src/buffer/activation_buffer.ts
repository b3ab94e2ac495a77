// The activations a training reads from: a buffer of a fixed number of contexts, captured once for all hook
// points, its usable tokens in a random order. Which contexts a buffer holds and their order are pure
// functions of (seed, buffer), so there is no state to save: a resume recaptures the current buffer and continues
// at the same token (docs/adr/0003). Memory is that of one buffer, however long the run.
// Cached activations are read through the same interface: cache_buffer.ts, saelens_cache.ts.
import { InputError } from '@mistudio/files'
import { type Place, randomStream, type StoredType, type Task, type WorkerPool } from '@mistudio/tensor'
import { type ContextSource, type Forward, widthOf } from '../sources.ts'
import {
  type ActivationPlace,
  type BufferMoments,
  type HookRows,
  openHookRows,
  rowPlace,
  sumMoments,
  sumNorms,
} from './hook_rows.ts'
import { checkFinite, dropOutliers, normLimit } from './outliers.ts'

export {
  addMoments,
  type BufferMoments,
  readMoments,
  type StoredMoments,
  writeMoments,
} from './hook_rows.ts'

export interface ActivationBuffer {
  /** Contexts captured at once, if it captures. */
  readonly contexts: number
  /**
   * Makes buffer `index` the current one.
   * @returns its number of usable tokens, at least 1
   * @throws InputError for NaN or infinity at a usable token (names hook point and context or row), and if no token
   *   is usable
   */
  fill(index: number): Promise<number>
  /** int32 rows of usable tokens in this buffer's random order. */
  readonly rows: Place
  /** [rows of the buffer, d] of a hook point; a worker's copy step widens bfloat16. */
  activations(hook: string): ActivationPlace
  /** Over the current buffer's usable tokens, after outliers are dropped. */
  moments(hook: string): BufferMoments
  /** Tokens of the current buffer that are outliers at this hook point (outliers.ts). */
  outliers(hook: string): number
  close(): Promise<void>
}

export async function createActivationBuffer(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  hooks: readonly string[]
  source: ContextSource
  contexts: number
  seed: number
  /** Number type of the buffer; bfloat16 halves its memory. Sums are over the stored values. Default float32. */
  storedDtype?: StoredType
  /** Default 0: none are dropped. See outliers.ts. */
  outlierNormMultiple?: number
}): Promise<ActivationBuffer> {
  const { pool, source, contexts, seed } = options
  const { storedDtype = 'float32', outlierNormMultiple = 0 } = options
  const tokens = contexts * source.contextSize
  const capture = await openCapture({ ...options, storedDtype })
  const mask = new Uint8Array(tokens)
  const rowsMemory = await pool.memory({ bytes: tokens * 4 + 64 })
  const rowsAt = rowsMemory.alloc(tokens * 4)
  const rows = rowsMemory.i32(rowsAt, tokens)
  const moments = new Map<string, BufferMoments>()
  let limits: Map<string, number> | undefined
  let outliers = new Map<string, number>()
  const at = (hook: string): HookRows => {
    const found = capture.places.find(place => place.hook === hook)
    if (found === undefined) throw new Error(`${hook} is not captured`)
    return found
  }

  return {
    contexts,
    rows: { memory: rowsMemory.id, offset: rowsAt },
    activations: hook => rowPlace(at(hook)),
    moments: hook => moments.get(hook)!,
    outliers: hook => outliers.get(hook) ?? 0,
    async fill(index) {
      if (outlierNormMultiple > 0) {
        // A resume recomputes the limits from the first buffer.
        if (limits === undefined && index > 0) await readNorms(0)
        outliers = dropOutliers({ hooks: await readNorms(index), limits: limits!, mask })
      } else {
        source.read({ first: index * contexts, count: contexts, ids: capture.ids, mask })
        await capture.run()
      }
      for (const place of capture.places) {
        place.memory.u8(place.mask, tokens).set(mask)
        moments.set(place.hook, await sumMoments(pool, place, tokens))
      }
      check(index)
      const usable = shuffleUsable({ mask, rows, seed, index })
      if (usable === 0) throw nothingUsable(index)
      return usable
    },
    async close() {
      await pool.release(rowsMemory)
      await capture.close()
    },
  }

  /** Captures a buffer and computes the norms of its tokens; the first one sets the limits. */
  async function readNorms(index: number) {
    source.read({ first: index * contexts, count: contexts, ids: capture.ids, mask })
    await capture.run()
    const norms: { hook: string; norms: Float64Array }[] = []
    for (const place of capture.places) {
      norms.push({ hook: place.hook, norms: await sumNorms(pool, place, tokens) })
    }
    check(index)
    limits ??= new Map(
      norms.map(({ hook, norms }) => [hook, normLimit({ norms, mask, multiple: outlierNormMultiple })]),
    )
    return norms
  }

  function check(index: number): void {
    const { contextSize } = source
    checkFinite({
      hooks: capture.places.map(({ hook, memory, norms }) => ({ hook, norms: memory.f64(norms, tokens) })),
      mask,
      describe: row => {
        const position = index * contexts + Math.floor(row / contextSize)
        const place = source.locate?.(position)
        return {
          message: 'the model produces NaN or infinity',
          ...(place?.file !== undefined && { file: place.file }),
          found: `context ${place?.context ?? position}, token ${row % contextSize}`,
          expected: 'finite activations; check the weights of the model and their number type',
        }
      },
    })
  }

  function nothingUsable(index: number): InputError {
    const place = source.locate?.(index * contexts)
    const byRule = [...outliers.values()].some(count => count > 0)
    return new InputError({
      message: byRule
        ? 'the outlier rule drops every token of a buffer'
        : 'every token of a buffer is masked',
      ...(place?.file !== undefined && { file: place.file }),
      field: byRule ? 'outlier_norm_multiple' : 'mask',
      found: byRule ? `${outlierNormMultiple}` : `0 usable of ${tokens} tokens (buffer ${index})`,
      expected: byRule
        ? 'a larger multiple, or 0 for none'
        : 'text with tokens that are not special; tokenize it again',
    })
  }
}

/** The model's calls for one buffer, float32 in place, or in groups through scratch that is rounded into the buffer. */
async function openCapture(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  hooks: readonly string[]
  source: ContextSource
  contexts: number
  storedDtype: StoredType
}) {
  const { pool, forward, contextsPerCall, hooks, source, contexts, storedDtype } = options
  const { contextSize } = source
  const callRows = contextsPerCall * contextSize
  const calls = Math.ceil(contexts / contextsPerCall)
  // The capture writes whole calls: room for the padding of the last one.
  const padded = calls * callRows
  const narrow = storedDtype === 'bfloat16'
  /** Calls of one group: enough for every worker, few enough that the scratch is small compared with the buffer. */
  const group = narrow ? Math.min(calls, 2 * pool.count) : calls
  const places: HookRows[] = []
  const scratch = new Map<string, number>()
  for (const hook of new Set(hooks)) {
    const d = widthOf(forward, hook)
    const spare = narrow ? group * callRows * d * 4 + 64 : 0
    const place = await openHookRows({ pool, hook, d, rows: padded, dtype: storedDtype, spare })
    places.push(place)
    if (narrow) scratch.set(hook, place.memory.alloc(group * callRows * d * 4))
  }
  const control = await pool.memory({ bytes: padded * 4 + 64 })
  const idsAt = control.alloc(padded * 4)

  return {
    places,
    /** Token ids of the buffer; set them before `run`. */
    ids: control.i32(idsAt, contexts * contextSize),
    async run(): Promise<void> {
      for (let call = 0; call < calls; call += group) {
        const count = Math.min(group * contextsPerCall, contexts - call * contextsPerCall)
        const outputs = places.map(({ hook, memory, x }) => [
          hook,
          { memory: memory.id, offset: scratch.get(hook) ?? x },
        ])
        const input_ids = { memory: control.id, offset: idsAt + call * callRows * 4 }
        await pool.run(
          forward.tasks({ contexts: count, places: { ...Object.fromEntries(outputs), input_ids } }),
        )
        if (narrow)
          await pool.run(places.flatMap(place => roundTasks(place, call, Math.min(group, calls - call))))
      }
    },
    async close(): Promise<void> {
      await pool.release(control)
      for (const { memory } of places) await pool.release(memory)
    },
  }

  function roundTasks(place: HookRows, first: number, count: number): Task[] {
    const { memory, hook, d } = place
    return Array.from({ length: count }, (_, i) => {
      const from = { memory: memory.id, offset: scratch.get(hook)! + i * callRows * d * 4 }
      return [{ copy: { from, to: rowPlace(place, (first + i) * callRows), count: callRows, width: d } }]
    })
  }
}

/** Writes the rows of usable tokens in random order (Fisher–Yates). @returns how many there are */
export function shuffleUsable(options: {
  mask: Uint8Array
  rows: Int32Array
  seed: number
  index: number
}): number {
  const { mask, rows, seed, index } = options
  let n = 0
  for (let i = 0; i < mask.length; i++) if (mask[i] === 1) rows[n++] = i
  shuffle(rows.subarray(0, n), randomStream({ seed, purpose: `window ${index}` }))
  return n
}

/** In place. */
export function shuffle(rows: Int32Array, draw: () => number): void {
  for (let i = rows.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    const kept = rows[i]
    rows[i] = rows[j]
    rows[j] = kept
  }
}

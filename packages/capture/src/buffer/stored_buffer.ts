// A buffer whose rows come from files instead of a model: what the readers of cached activations share. A reader
// loads the rows; masks, the outlier rule, sums, NaN checks and the order of the rows are handled here, by the same
// rules as in activation_buffer.ts.
import { InputError } from '@mistudio/files'
import type { StoredType, WorkerPool } from '@mistudio/tensor'
import { type ActivationBuffer, shuffleUsable } from './activation_buffer.ts'
import {
  type BufferMoments,
  type HookRows,
  openHookRows,
  rowPlace,
  sumMoments,
  sumNorms,
} from './hook_rows.ts'
import { checkFinite, dropOutliers, normLimit } from './outliers.ts'

/** Rows that a reader has loaded into the places of all hook points. */
export type LoadedRows = {
  rows: number
  /** 1 where a row is usable; default all. */
  mask?: Uint8Array
  /** The rows' sums as written, by hook point; recomputed if absent or when rows are dropped. */
  moments?: ReadonlyMap<string, BufferMoments>
  /** Tokens that the writer dropped as outliers, by hook point. */
  outliers?: ReadonlyMap<string, number>
  /** The rows are already in the buffer's order. */
  inOrder: boolean
  /** Where a row is, for messages. */
  locate(row: number): { file: string; row: number }
}

export async function createStoredBuffer(options: {
  pool: WorkerPool
  hooks: readonly { name: string; width: number }[]
  /** The most rows of one buffer. */
  capacity: number
  dtype: StoredType
  seed: number
  outlierNormMultiple: number
  /** Fills the places with buffer `index`. */
  load(index: number, places: readonly HookRows[]): Promise<LoadedRows>
  /** Contexts of a buffer, for the record. */
  contexts: number
}): Promise<ActivationBuffer> {
  const { pool, hooks, capacity, dtype, seed, outlierNormMultiple, load, contexts } = options
  const places: HookRows[] = []
  for (const { name, width } of hooks) {
    places.push(await openHookRows({ pool, hook: name, d: width, rows: capacity, dtype }))
  }
  const memory = await pool.memory({ bytes: capacity * 4 + 64 })
  const rowsAt = memory.alloc(capacity * 4)
  const order = memory.i32(rowsAt, capacity)
  const moments = new Map<string, BufferMoments>()
  const outliers = new Map<string, number>()
  let limits: Map<string, number> | undefined
  const at = (hook: string): HookRows => {
    const found = places.find(place => place.hook === hook)
    if (found === undefined) throw new Error(`${hook} is not read`)
    return found
  }

  return {
    contexts,
    rows: { memory: memory.id, offset: rowsAt },
    activations: hook => rowPlace(at(hook)),
    moments: hook => moments.get(hook)!,
    outliers: hook => outliers.get(hook) ?? 0,
    async fill(index) {
      if (outlierNormMultiple > 0 && limits === undefined && index > 0) await loadNorms(0)
      const { loaded, mask, norms } = await loadNorms(index)
      const dropped =
        outlierNormMultiple > 0
          ? dropOutliers({ hooks: norms, limits: limits!, mask })
          : new Map<string, number>()
      const anyDropped = [...dropped.values()].some(count => count > 0)
      for (const place of places) {
        const { hook } = place
        outliers.set(hook, (loaded.outliers?.get(hook) ?? 0) + (dropped.get(hook) ?? 0))
        place.memory.u8(place.mask, loaded.rows).set(mask)
        const written = anyDropped ? undefined : loaded.moments?.get(hook)
        const sums = written ?? (await sumMoments(pool, place, loaded.rows))
        if (written !== undefined) checkSums({ place, written, loaded })
        moments.set(hook, sums)
      }
      const usable = loaded.inOrder ? inOrder(mask, order) : shuffleUsable({ mask, rows: order, seed, index })
      if (usable === 0) throw nothingUsable({ loaded, index, anyDropped })
      return usable
    },
    async close() {
      await pool.release(memory)
      for (const place of places) await pool.release(place.memory)
    },
  }

  async function loadNorms(index: number) {
    const loaded = await load(index, places)
    const mask = loaded.mask?.slice() ?? new Uint8Array(loaded.rows).fill(1)
    const norms: { hook: string; norms: Float64Array }[] = []
    for (const place of places) {
      norms.push({ hook: place.hook, norms: await sumNorms(pool, place, loaded.rows) })
    }
    checkFinite({
      hooks: norms,
      mask,
      describe: row => {
        const { file, row: inFile } = loaded.locate(row)
        return {
          message: 'the cached activations contain NaN or infinity',
          file,
          found: `row ${inFile}`,
          expected: 'finite numbers; cache the activations again',
        }
      },
    })
    limits ??= new Map(
      norms.map(({ hook, norms }) => [hook, normLimit({ norms, mask, multiple: outlierNormMultiple })]),
    )
    return { loaded, mask, norms }
  }

  /** Wrong sums would silently corrupt normalisation and FVU. */
  function checkSums({
    place,
    written,
    loaded,
  }: {
    place: HookRows
    written: BufferMoments
    loaded: LoadedRows
  }) {
    const norms = place.memory.f64(place.norms, loaded.rows)
    let sum = 0
    let squares = 0
    for (const norm of norms) {
      sum += norm
      squares += norm * norm
    }
    const near = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.abs(b)
    const { tokens, sumNorms: writtenNorms, sumSquares } = written
    if (
      tokens === loaded.rows &&
      near(writtenNorms, sum) &&
      near(sumSquares, squares) &&
      written.sum.every(Number.isFinite)
    )
      return
    throw new InputError({
      message: 'the sums stored with the activations do not match them',
      file: loaded.locate(0).file,
      field: place.hook,
      found: `Σ‖x‖ ${writtenNorms}, Σ‖x‖² ${sumSquares}`,
      expected: `${sum}, ${squares}; cache the activations again`,
    })
  }

  function nothingUsable({
    loaded,
    index,
    anyDropped,
  }: {
    loaded: LoadedRows
    index: number
    anyDropped: boolean
  }) {
    return new InputError({
      message: anyDropped
        ? 'the outlier rule drops every token of a buffer'
        : 'every token of a buffer is masked',
      ...(loaded.rows > 0 && { file: loaded.locate(0).file }),
      field: anyDropped ? 'outlier_norm_multiple' : 'mask',
      found: anyDropped ? String(outlierNormMultiple) : `0 usable of ${loaded.rows} tokens (buffer ${index})`,
      expected: anyDropped ? 'a larger multiple, or 0 for none' : 'tokens that are not special',
    })
  }
}

/** The usable rows in stored order. */
function inOrder(mask: Uint8Array, order: Int32Array): number {
  let n = 0
  for (let i = 0; i < mask.length; i++) if (mask[i] === 1) order[n++] = i
  return n
}

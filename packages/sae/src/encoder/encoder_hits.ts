// Storage for a batch's hits: lists of a few rows each, all with the same capacity, in a memory of their own. A list
// longer than its capacity is truncated when copied here, and its starts show it; the encoder then grows the room
// and encodes that call again.
import { InputError } from '@mistudio/files'
import type { Place, SharedMemory, WorkerPool } from '@mistudio/tensor'

/**
 * The firing latents of consecutive rows: those of row firstRow + r are index and value [starts[r], starts[r + 1]),
 * latents ascending, each value above 0, or NaN if the input has one.
 */
export type HitList = {
  firstRow: number
  rows: number
  /** [rows + 1] */
  starts: Int32Array
  index: Int32Array
  value: Float32Array
}

export interface HitRoom {
  readonly rows: number
  /** Hits of one list. */
  readonly capacity: number
  /** Where list `list` goes: index and value [capacity], starts [rowsPerList + 1]. */
  places(list: number): { index: Place; value: Place; starts: Place }
  /** The lists of the first `rows` rows. */
  lists(rows: number): HitList[]
  /** The longest list, and the calls whose lists exceed the capacity. */
  cut(rows: number): { most: number; calls: Set<number> }
  /** Grows every list; hits that fitted are kept. @throws InputError above the limit of a room */
  grow(capacity: number): Promise<void>
  close(): Promise<void>
}

/** Bytes of one room at most. */
const hitLimitBytes = 2 ** 30

export async function createHitRoom(options: {
  pool: WorkerPool
  rows: number
  rowsPerCall: number
  rowsPerList: number
  capacity: number
}): Promise<HitRoom> {
  const { pool, rows, rowsPerCall, rowsPerList } = options
  const listsPerCall = Math.ceil(rowsPerCall / rowsPerList)
  const lists = Math.ceil(rows / rowsPerCall) * listsPerCall
  let capacity = options.capacity
  let memory = await memoryFor(capacity)
  let at = place(memory)

  async function memoryFor(wanted: number): Promise<SharedMemory> {
    const bytes = lists * (8 * wanted + 4 * (rowsPerList + 1)) + 256
    if (bytes <= hitLimitBytes) return pool.memory({ bytes })
    throw new InputError({
      message: 'so many latents of this SAE fire that their activations do not fit',
      field: 'latents firing per token',
      found: `${Math.round(wanted / rowsPerList)} over ${rows} tokens at once`,
      expected: `at most ${Math.floor(hitLimitBytes / 8 / rows)}; fewer tokens at once, or a sparser SAE`,
    })
  }
  function place(shared: SharedMemory) {
    return {
      index: shared.alloc(4 * lists * capacity),
      value: shared.alloc(4 * lists * capacity),
      starts: shared.alloc(4 * lists * (rowsPerList + 1)),
    }
  }
  const startsOf = (list: number) => memory.i32(at.starts + 4 * list * (rowsPerList + 1), rowsPerList + 1)
  /** Lists of the first n rows, with the number of rows in each. */
  function* used(n: number) {
    for (let call = 0; call * rowsPerCall < n; call++) {
      for (let i = 0; i < listsPerCall; i++) {
        const firstRow = call * rowsPerCall + i * rowsPerList
        const end = Math.min(n, (call + 1) * rowsPerCall, firstRow + rowsPerList)
        if (end > firstRow) yield { call, list: call * listsPerCall + i, firstRow, rows: end - firstRow }
      }
    }
  }

  return {
    rows,
    get capacity() {
      return capacity
    },
    places(list) {
      const here = (offset: number): Place => ({ memory: memory.id, offset })
      return {
        index: here(at.index + 4 * list * capacity),
        value: here(at.value + 4 * list * capacity),
        starts: here(at.starts + 4 * list * (rowsPerList + 1)),
      }
    },
    lists: n =>
      Array.from(used(n), ({ list, firstRow, rows: held }) => ({
        firstRow,
        rows: held,
        starts: startsOf(list).subarray(0, held + 1),
        index: memory.i32(at.index + 4 * list * capacity, capacity),
        value: memory.f32(at.value + 4 * list * capacity, capacity),
      })),
    cut(n) {
      let most = 0
      const calls = new Set<number>()
      for (const { call, list, rows: held } of used(n)) {
        const hits = startsOf(list)[held]
        most = Math.max(most, hits)
        if (hits > capacity) calls.add(call)
      }
      return { most, calls }
    },
    async grow(wanted) {
      const next = await memoryFor(wanted)
      const old = { memory, at, capacity }
      memory = next
      capacity = wanted
      at = place(next)
      const cells = lists * (rowsPerList + 1)
      next.i32(at.starts, cells).set(old.memory.i32(old.at.starts, cells))
      for (let list = 0; list < lists; list++) {
        const from = 4 * list * old.capacity
        const to = 4 * list * capacity
        next.i32(at.index + to, capacity).set(old.memory.i32(old.at.index + from, old.capacity))
        next.f32(at.value + to, capacity).set(old.memory.f32(old.at.value + from, old.capacity))
      }
      await pool.release(old.memory)
    },
    close: () => pool.release(memory),
  }
}

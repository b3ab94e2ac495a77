// The activations a training reads from: a window of a fixed number of contexts, captured once for all hook
// points, its usable tokens in a random order. Which contexts a window holds and the order inside it are pure
// functions of (seed, window), so nothing carries over: a resume captures the current window again and goes on
// at the same token (docs/adr/0003). Memory is that of one window, whatever the length of the run.
import type { Lanes, Place, SharedMemory, Task } from '@mistudio/tensor'
import { randomStream } from './random.ts'
import { type ContextSource, type Forward, widthOf } from './sources.ts'

/** Tokens (rows) of one task that sums moments; fixed, so sums do not depend on the lanes. */
const momentRows = 1024

/** Sums over the usable tokens of one window. */
export type WindowMoments = { tokens: number; sum: Float64Array; sumSquares: number; sumNorms: number }

export interface ActivationWindow {
  readonly contexts: number
  /** Captures window `index`. @returns how many usable tokens it has */
  fill(index: number): Promise<number>
  /** int32 rows of usable tokens in this window's random order. */
  readonly rows: Place
  /** float32 [contexts · contextSize, d] of a hook point. */
  activations(hook: string): Place
  moments(hook: string): WindowMoments
  close(): Promise<void>
}

export async function createActivationWindow(options: {
  lanes: Lanes
  forward: Forward
  contextsPerCall: number
  hooks: readonly string[]
  source: ContextSource
  contexts: number
  seed: number
}): Promise<ActivationWindow> {
  const { lanes, forward, contextsPerCall, hooks, source, contexts, seed } = options
  const { contextSize } = source
  const tokens = contexts * contextSize
  // The capture writes whole calls: room for the padding of the last one.
  const padded = Math.ceil(contexts / contextsPerCall) * contextsPerCall * contextSize
  const control = await lanes.memory({ bytes: padded * 4 + tokens * 4 + 1024 })
  const idsAt = control.alloc(padded * 4)
  const rowsAt = control.alloc(tokens * 4)
  const chunks = Math.ceil(tokens / momentRows)
  const places = new Map<string, HookPlace>()
  for (const hook of hooks) {
    const d = widthOf(forward, hook)
    const memory = await lanes.memory({
      bytes: padded * d * 4 + tokens + chunks * (d * 8 + 16) + tokens * 8 + 4096,
    })
    places.set(hook, {
      memory,
      d,
      x: memory.alloc(padded * d * 4),
      mask: memory.alloc(tokens),
      partials: memory.alloc(chunks * (d * 8 + 16)),
      norms: memory.alloc(tokens * 8),
    })
  }
  const ids = control.i32(idsAt, padded)
  const mask = new Uint8Array(tokens)
  const rows = control.i32(rowsAt, tokens)
  let usable = 0

  return {
    contexts,
    rows: { memory: control.id, offset: rowsAt },
    activations: hook => ({ memory: places.get(hook)!.memory.id, offset: places.get(hook)!.x }),
    moments: hook => places.get(hook)!.moments!,
    async fill(index) {
      source.read({ first: index * contexts, count: contexts, ids, mask })
      const captured: Record<string, Place> = { input_ids: { memory: control.id, offset: idsAt } }
      for (const [hook, place] of places) captured[hook] = { memory: place.memory.id, offset: place.x }
      await lanes.run(forward.tasks({ contexts, places: captured }))
      for (const place of places.values()) {
        place.memory.u8(place.mask, tokens).set(mask)
        place.moments = await sumMoments(lanes, place, tokens)
      }
      usable = shuffleUsable({ mask, rows, seed, index })
      return usable
    },
    async close() {
      await lanes.release(control)
      for (const { memory } of places.values()) await lanes.release(memory)
    },
  }
}

type HookPlace = {
  memory: SharedMemory
  d: number
  x: number
  mask: number
  partials: number
  norms: number
  moments?: WindowMoments
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
  const draw = randomStream({ seed, purpose: `window ${index}` })
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    const kept = rows[i]
    rows[i] = rows[j]
    rows[j] = kept
  }
  return n
}

async function sumMoments(lanes: Lanes, place: HookPlace, tokens: number): Promise<WindowMoments> {
  const { memory, d, x, mask, partials, norms } = place
  const width = d * 8 + 16
  const chunks = Math.ceil(tokens / momentRows)
  memory.u8(partials, chunks * width).fill(0)
  const tasks = Array.from({ length: chunks }, (_, c): Task => {
    const start = c * momentRows
    const rows = Math.min(momentRows, tokens - start)
    const at = partials + c * width
    const from = x + start * d * 4
    return [
      {
        kernel: 'runningMoments',
        memory: memory.id,
        args: [from, mask + start, rows, d, at, at + d * 8, at + d * 8 + 8],
      },
      { kernel: 'rowNorms', memory: memory.id, args: [from, rows, d, norms + start * 8] },
    ]
  })
  await lanes.run(tasks)
  const sum = new Float64Array(d)
  let sumSquares = 0
  let count = 0
  for (let c = 0; c < chunks; c++) {
    const partial = memory.f64(partials + c * width, d + 2)
    for (let j = 0; j < d; j++) sum[j] += partial[j]
    sumSquares += partial[d]
    count += partial[d + 1]
  }
  let sumNorms = 0
  const lengths = memory.f64(norms, tokens)
  const usable = memory.u8(mask, tokens)
  for (let i = 0; i < tokens; i++) if (usable[i] === 1) sumNorms += lengths[i]
  return { tokens: count, sum, sumSquares, sumNorms }
}

/** Sums over both. */
export function addMoments(before: WindowMoments | undefined, now: WindowMoments): WindowMoments {
  if (before === undefined) return now
  return {
    tokens: before.tokens + now.tokens,
    sum: before.sum.map((value, j) => value + now.sum[j]),
    sumSquares: before.sumSquares + now.sumSquares,
    sumNorms: before.sumNorms + now.sumNorms,
  }
}

/** Moments as JSON, for checkpoints. */
export type StoredMoments = { tokens: number; sum: number[]; sumSquares: number; sumNorms: number }
export const writeMoments = (moments: WindowMoments): StoredMoments => ({ ...moments, sum: [...moments.sum] })
export const readMoments = (stored: StoredMoments): WindowMoments => ({
  ...stored,
  sum: Float64Array.from(stored.sum),
})

// What the coordinating thread selects among hits: a row's largest over several blocks, and BatchTopK's largest of a batch.
import type { WorkerPool } from '@mistudio/tensor'
import type { Block } from './block.ts'
import { type EncodeOptions, topkTasks } from './encode.ts'
import { compactHits, type Hits, needed, nthLargest } from './hits.ts'
import { chunkRows } from './pieces.ts'
import type { Screen } from './screen.ts'

/**
 * Keeps a row's `keep` largest values over all parts and zeroes the rest; ties go to the lower latent, as in one block:
 * parts come in ascending order and each lists its latents ascending. A row with a NaN, which has no order, is left
 * alone so that the loss shows it.
 */
export function keepLargest(options: {
  rows: number
  keep: number
  parts: readonly { value: Float32Array; k: number }[]
}): void {
  const { rows, keep, parts } = options
  const slots = parts.flatMap(({ k }, part) => Array.from({ length: k }, (_, i) => ({ part, i })))
  for (let r = 0; r < rows; r++) {
    const ranked = slots.map(({ part, i }, order) => {
      const at = r * parts[part].k + i
      return { part, at, order, value: parts[part].value[at] }
    })
    if (ranked.some(({ value }) => Number.isNaN(value))) continue
    ranked.sort((a, b) => b.value - a.value || a.order - b.order)
    for (const { part, at } of ranked.slice(keep)) parts[part].value[at] = 0
  }
}

/** A guess for BatchTopK's first step: from the 2k largest of each row of the first chunk. */
export async function firstGuess(options: {
  pool: WorkerPool
  blocks: readonly Block[]
  hits: readonly Hits[]
  k: number
  encode: EncodeOptions
}): Promise<number> {
  const { pool, blocks, hits, k, encode } = options
  const rows = Math.min(chunkRows, encode.batchSize)
  const twice = (latents: number) => Math.min(2 * Math.ceil(k), latents)
  await pool.run(
    blocks.map(
      block => topkTasks(block, twice(block.latents), { ...encode, batchSize: rows, dead: undefined })[0],
    ),
  )
  const all = blocks.flatMap((block, b) => [...hits[b].value.subarray(0, rows * twice(block.latents))])
  if (all.some(Number.isNaN)) return 0
  return 0.9 * nthLargest(Float32Array.from(all), Math.max(1, Math.min(all.length, Math.floor(rows * k))))
}

/**
 * BatchTopK: collects candidates above a guess, then keeps the `budget` largest positive scores of the batch. The guess
 * only decides how many candidates there are: if too few or too many, it is moved and the encode repeated. A screen
 * collects by upper bounds: if it collects too much, or scores exceed their bounds by half the distance from the guess
 * to the least score kept, the float32 product decides.
 * Equal scores go to the lower row, then the lower latent.
 * @returns the least score kept, 0 if nothing is positive, and the guess for the next step
 */
export async function selectBatch(options: {
  blocks: readonly Block[]
  hits: readonly Hits[]
  batchSize: number
  budget: number
  guess: number
  rescored: boolean
  screen: Screen | undefined
  /** Collects all blocks' scores above their limits. */
  collect: (screen: Screen | undefined) => Promise<void>
}): Promise<{ least: number; guess: number }> {
  const { blocks, hits, batchSize, budget, rescored, collect } = options
  // Bounds of the guess: too many candidates at `low`, too few at `high`.
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let guess = Number.isFinite(options.guess) ? Math.max(options.guess, 0) : 0
  const chunks = blocks.length * Math.ceil(batchSize / chunkRows)
  let { screen } = options
  for (let tries = 0; ; tries++) {
    if (tries === 60) {
      throw new Error(`no threshold keeps ${budget} activations of the batch: are some of its rows equal?`)
    }
    // Half of all scores are above 0, more than lists hold.
    if (guess === 0) screen = undefined
    for (const block of blocks) block.memory.f32(block.at.limit, block.latents).fill(guess)
    await collect(screen)
    const found = blocks.map(block => needed(block, batchSize))
    const total = found.reduce((sum, { total: n }) => sum + n, 0)
    const cut = found.some(({ most }, b) => most > blocks[b].chunkHits)
    if (cut && screen !== undefined) {
      screen.note(chunks, chunks)
      screen = undefined
      continue
    }
    if (cut || (total < budget && guess > 0)) {
      if (cut) low = guess
      else high = guess
      guess = nextGuess({ guess, low, high, cut, tries })
      continue
    }
    for (const one of hits) compactHits(one, batchSize)
    if (rescored && guess === 0) for (const one of hits) compactHits(one, batchSize, value => !(value <= 0))
    const all = joinScores(hits)
    // NaN has no order; the loss will show it.
    if (all.some(Number.isNaN)) return { least: 0, guess }
    const least = all.length > budget ? nthLargest(all.slice(), budget) : leastOf(all)
    const above = rescored ? largestExcess(blocks, batchSize) : 0
    // A latent left out may exceed the guess by that much; twice that is still below the least score kept.
    const settled = guess === 0 || least >= guess + 2 * above
    screen?.note(settled ? 0 : chunks, chunks)
    if (!settled && screen !== undefined) {
      screen = undefined
      continue
    }
    if (!settled) {
      high = guess
      guess = Math.max(0, Math.min(0.9 * guess, least - 4 * above))
      continue
    }
    if (all.length > budget) keepAbove({ hits, batchSize, budget, all, least })
    return { least, guess: least * 0.9 }
  }
}

function joinScores(hits: readonly Hits[]): Float32Array {
  const all = new Float32Array(hits.reduce((sum, { count }) => sum + count, 0))
  let at = 0
  for (const { pre, count } of hits) {
    all.set(pre.subarray(0, count), at)
    at += count
  }
  return all
}

function leastOf(values: Float32Array): number {
  let least = 0
  for (const value of values) if (least === 0 || value < least) least = value
  return least
}

/** The most by which a recomputed score exceeds the one it was collected for; 0 if none does. */
function largestExcess(blocks: readonly Block[], rows: number): number {
  let most = 0
  for (const { memory, at } of blocks) {
    for (const excess of memory.f32(at.above, Math.ceil(rows / chunkRows))) most = Math.max(most, excess)
  }
  return most
}

/** Drops hits below `least`, then the last of those equal to it, until `budget` are left. */
function keepAbove(options: {
  hits: readonly Hits[]
  batchSize: number
  budget: number
  all: Float32Array
  least: number
}): void {
  const { hits, batchSize, budget, all, least } = options
  let equals = budget
  for (const value of all) if (value > least) equals--
  // In (row, latent) order, so across blocks row by row.
  const inOrder = new Set<string>()
  if (hits.length > 1) equalPlaces(hits, batchSize, least, equals, inOrder)
  for (const [b, one] of hits.entries()) {
    compactHits(one, batchSize, (value, row, latent) => {
      if (value > least) return true
      if (value < least) return false
      if (hits.length > 1) return inOrder.has(`${b} ${row} ${latent}`)
      return equals-- > 0
    })
  }
}

function equalPlaces(
  hits: readonly Hits[],
  rows: number,
  least: number,
  count: number,
  into: Set<string>,
): void {
  for (let r = 0; r < rows && into.size < count; r++) {
    for (const [b, { from, to, pre, index }] of hits.entries()) {
      for (let p = from[r]; p < to[r] && into.size < count; p++)
        if (pre[p] === least) into.add(`${b} ${r} ${index[p]}`)
    }
  }
}

function nextGuess(options: {
  guess: number
  low: number
  high: number
  cut: boolean
  tries: number
}): number {
  const { guess, low, high, cut, tries } = options
  if (cut) return high === Number.POSITIVE_INFINITY ? Math.max(guess * 2, 1e-6) : (low + high) / 2
  if (tries > 40 && low === 0) return 0
  return low > 0 ? (low + high) / 2 : guess > 1e-12 ? guess / 2 : 0
}

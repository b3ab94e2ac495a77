// Pre-activations of every chunk of rows by one product into the lane's scratch, and what the selection keeps of them:
// a row's k largest, or all above a limit. BatchTopK chooses among candidates afterwards, exactly.
import type { Arg, Lanes, Step, Task } from '@mistudio/tensor'
import type { Plan } from '../plan.ts'
import type { Block } from './block.ts'
import { compactHits, type Hits, needed, nthLargest } from './hits.ts'
import { call, chunkRows, type Piece, pieces } from './pieces.ts'
import type { Products } from './products.ts'

/** A block's dead latents in the running step: how many, and how many of them a row keeps. */
export type DeadPart = { dead: number; kAux: number; relu: boolean }

export const scratchOf = ({ at }: Block, offset = 0): Arg => ({
  base: at.scratch + offset,
  stride: at.scratchBytes,
})

const preActivations = (products: Products, block: Block, { start }: Piece): Step => {
  const { at, memory, latents, dIn } = block
  return products.timesTransposed(
    memory,
    { offset: at.xc + start * dIn * 4, rows: chunkRows, columns: dIn },
    { offset: at.wEnc, rows: latents, columns: dIn },
    scratchOf(block),
  )
}

export type EncodeOptions = { products: Products; batchSize: number; normed: boolean; dead?: DeadPart }

/** A row's k largest of the block, as fixed spans. */
export function topkTasks(block: Block, k: number, options: EncodeOptions): Task[] {
  const { products, batchSize, normed, dead } = options
  const { at, memory, latents } = block
  const pre = scratchOf(block)
  const candidates = scratchOf(block, (dead === undefined ? 1 : 2) * chunkRows * latents * 4)
  return pieces(batchSize, chunkRows).map((piece): Task => {
    const { start, length } = piece
    const hit = start * k * 4
    const steps = [preActivations(products, block, piece)]
    if (normed) steps.push(call(memory, 'scoreRows', pre, length, latents, at.bEnc, at.norms))
    const bias = normed ? 0 : at.bEnc
    steps.push(
      call(
        memory,
        'topkRows',
        pre,
        latents,
        length,
        latents,
        bias,
        k,
        1,
        at.index + hit,
        at.value + hit,
        candidates,
      ),
    )
    if (dead !== undefined) steps.push(...deadSteps(block, piece, bias, dead, candidates))
    return steps
  })
}

/** All above the block's limits; with AuxK the dead latents' largest as well. */
export function collectTasks(block: Block, options: EncodeOptions): Task[] {
  const { products, batchSize, normed, dead } = options
  const { at, memory, latents, chunkHits } = block
  const pre = scratchOf(block)
  const candidates = scratchOf(block, (dead === undefined ? 1 : 2) * chunkRows * latents * 4)
  return pieces(batchSize, chunkRows).map((piece, c): Task => {
    const { start, length } = piece
    const steps = [preActivations(products, block, piece)]
    if (normed) steps.push(call(memory, 'scoreRows', pre, length, latents, at.bEnc, at.norms))
    const bias = normed ? at.zeros : at.bEnc
    const spans = [at.from + start * 4, at.to + start * 4]
    const room = [c * chunkHits, (c + 1) * chunkHits]
    steps.push(
      call(
        memory,
        'collectAbove',
        pre,
        latents,
        length,
        latents,
        bias,
        at.limit,
        start,
        ...room,
        at.index,
        at.pre,
        at.row,
        ...spans,
        at.need + c * 4,
      ),
    )
    if (dead !== undefined) steps.push(...deadSteps(block, piece, normed ? 0 : bias, dead, candidates))
    return steps
  })
}

/** AuxK reads the same pre-activations (or scores): the dead columns side by side, then a row's largest. */
function deadSteps(
  block: Block,
  { start, length }: Piece,
  bias: number,
  { dead, kAux, relu }: DeadPart,
  candidates: Arg,
): Step[] {
  if (dead === 0) return []
  const { at, memory, latents } = block
  const aux = at.aux!
  const gathered = scratchOf(block, chunkRows * latents * 4)
  const hit = start * kAux * 4
  return [
    call(memory, 'gatherColumns', scratchOf(block), latents, length, bias, aux.deadColumns, dead, gathered),
    call(
      memory,
      'topkRows',
      gathered,
      dead,
      length,
      dead,
      0,
      kAux,
      relu ? 1 : 0,
      aux.index + hit,
      aux.value + hit,
      candidates,
    ),
  ]
}

/**
 * Keeps a row's `keep` largest values over all parts and zeroes the rest; ties go to the lower latent, as in one block:
 * parts come in ascending order and each lists its latents ascending. A row with a NaN stays as it is, so that the loss
 * shows it: NaNs have no order.
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

/** A guess for BatchTopK's first step: from the first chunk of rows, whose 2k largest a row are looked at. */
export async function firstGuess(options: {
  lanes: Lanes
  blocks: readonly Block[]
  hits: readonly Hits[]
  k: number
  encode: EncodeOptions
}): Promise<number> {
  const { lanes, blocks, hits, k, encode } = options
  const rows = Math.min(chunkRows, encode.batchSize)
  const twice = (latents: number) => Math.min(2 * Math.ceil(k), latents)
  await lanes.run(
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
 * only decides how many candidates there are: too few or too many and it is moved and the encode done again.
 * Equal scores go to the lower row, then the lower latent.
 * @returns the least score kept, 0 where nothing is positive, and the guess for the next step
 */
export async function selectBatch(options: {
  lanes: Lanes
  blocks: readonly Block[]
  hits: readonly Hits[]
  batchSize: number
  budget: number
  guess: number
  tasksOf: (block: Block) => Task[]
}): Promise<{ least: number; guess: number }> {
  const { lanes, blocks, hits, batchSize, budget, tasksOf } = options
  // Bounds of the guess: too many candidates at `low`, too few at `high`.
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let guess = Number.isFinite(options.guess) ? Math.max(options.guess, 0) : 0
  for (let tries = 0; ; tries++) {
    for (const block of blocks) block.memory.f32(block.at.limit, block.latents).fill(guess)
    await lanes.run(blocks.flatMap(tasksOf))
    const found = blocks.map(block => needed(block, batchSize))
    const total = found.reduce((sum, { total: n }) => sum + n, 0)
    const cut = found.some(({ most }, b) => most > blocks[b].chunkHits)
    if (!cut && (total >= budget || guess === 0)) break
    if (tries === 60) {
      throw new Error(
        `no threshold keeps between ${budget} and ${total} activations of the batch: are rows of it equal?`,
      )
    }
    if (cut) low = guess
    else high = guess
    guess = nextGuess({ guess, low, high, cut, tries })
  }
  for (const one of hits) compactHits(one, batchSize)
  const total = hits.reduce((sum, { count }) => sum + count, 0)
  const all = new Float32Array(total)
  let at = 0
  let broken = false
  for (const { pre, count } of hits) {
    all.set(pre.subarray(0, count), at)
    at += count
  }
  for (const value of all) broken ||= Number.isNaN(value)
  // Not a number has no order: the loss will say so.
  if (broken) return { least: 0, guess }
  let least = 0
  if (total > budget) {
    least = nthLargest(all, budget)
    let equals = budget
    for (const value of all) if (value > least) equals--
    // In the order of (row, latent): over blocks that means row by row.
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
  } else for (const value of all) if (least === 0 || value < least) least = value
  return { least, guess: least * 0.9 }
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

export const isNormed = ({ selection }: Plan) =>
  (selection.kind === 'topk' || selection.kind === 'batchtopk') && selection.score === 'normed'

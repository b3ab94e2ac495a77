// The hits of a step: every block's list of (row, latent, π, f) with a span per row, as views of its memory, and what the
// coordinating thread does to them between two phases of the worker pool.
import type { Block } from './block.ts'
import { chunkRows, pieces } from './pieces.ts'

export type Hits = {
  count: number
  index: Int32Array
  row: Int32Array
  pre: Float32Array
  value: Float32Array
  grad: Float32Array
  grad2: Float32Array
  from: Int32Array
  to: Int32Array
}

/** Views of a block's hits; `count` grows to what the encode finds. */
export function viewHits(block: Block, rows: number): Hits {
  const { memory, at, chunkHits } = block
  const room = Math.ceil(rows / chunkRows) * chunkHits
  return {
    count: 0,
    index: memory.i32(at.index, room),
    row: memory.i32(at.row, room),
    pre: memory.f32(at.pre, room),
    value: memory.f32(at.value, room),
    grad: memory.f32(at.grad, room),
    grad2: at.grad2 === 0 ? new Float32Array(0) : memory.f32(at.grad2, room),
    from: memory.i32(at.from, rows),
    to: memory.i32(at.to, rows),
  }
}

/** Even spans: k hits to each row. Written once, since nothing overwrites them. */
export function evenSpans(hits: Hits, rows: number, k: number): void {
  hits.count = rows * k
  for (let r = 0; r < rows; r++) {
    hits.from[r] = r * k
    hits.to[r] = (r + 1) * k
    hits.row.fill(r, r * k, (r + 1) * k)
  }
}

/** Hits that the chunks needed; more than `chunkHits` in one means the lists are cut off. */
export function needed(block: Block, rows: number): { total: number; most: number } {
  const need = block.memory.i32(block.at.need, Math.ceil(rows / chunkRows))
  let total = 0
  let most = 0
  for (const n of need) {
    total += n
    most = Math.max(most, n)
  }
  return { total, most }
}

/**
 * Closes the gaps that chunks leave, and drops hits that `keep` refuses; order is preserved. Afterwards positions
 * [0, count) are all hits.
 */
export function compactHits(
  hits: Hits,
  rows: number,
  keep?: (value: number, row: number, latent: number) => boolean,
): void {
  const { index, row, pre, from, to } = hits
  if (keep === undefined) {
    let at = 0
    for (const { start, length } of pieces(rows, chunkRows)) {
      const lo = from[start]
      const n = to[start + length - 1] - lo
      if (lo !== at) {
        index.copyWithin(at, lo, lo + n)
        row.copyWithin(at, lo, lo + n)
        pre.copyWithin(at, lo, lo + n)
      }
      for (let r = start; r < start + length; r++) {
        from[r] += at - lo
        to[r] += at - lo
      }
      at += n
    }
    hits.count = at
    return
  }
  let at = 0
  for (let r = 0; r < rows; r++) {
    const end = to[r]
    let p = from[r]
    from[r] = at
    for (; p < end; p++) {
      if (!keep(pre[p], r, index[p])) continue
      index[at] = index[p]
      row[at] = r
      pre[at] = pre[p]
      at++
    }
    to[r] = at
  }
  hits.count = at
}

/**
 * The n-th largest of the values (1 ≤ n ≤ length); reorders them. Hoare's selection, median of three; NaN-free input.
 */
export function nthLargest(values: Float32Array, n: number): number {
  let lo = 0
  let hi = values.length - 1
  const target = n - 1
  while (lo < hi) {
    const a = values[lo]
    const b = values[(lo + hi) >> 1]
    const c = values[hi]
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
    let i = lo
    let j = hi
    while (i <= j) {
      while (values[i] > pivot) i++
      while (values[j] < pivot) j--
      if (i <= j) {
        const kept = values[i]
        values[i++] = values[j]
        values[j--] = kept
      }
    }
    if (target <= j) hi = j
    else if (target >= i) lo = i
    else break
  }
  return values[target]
}

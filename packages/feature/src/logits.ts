// A feature's direct effect on the output: its decoder direction through the final norm's scale and the
// unembedding. All features at once as one GEMM over tiles, each reduced to its few best tokens in the same worker.

import { InputError } from '@mistudio/files'
import {
  createGraph,
  type SharedMemory,
  type Task,
  topkScratchBytes,
  type WorkerPool,
} from '@mistudio/tensor'

/** The end of a model: `unembed` [vocab, d] rows, `gamma` [d] the final norm's weight. */
export type LogitHead = {
  unembed: Float32Array
  gamma: Float32Array
  /** True for LayerNorm, which subtracts its input's mean; false for RMS norm. */
  centre: boolean
}

/** Per feature `count` tokens, strongest first: token ids and logits [features, count]. */
export type FeatureLogits = {
  count: number
  topTokens: Int32Array
  topLogits: Float32Array
  bottomTokens: Int32Array
  bottomLogits: Float32Array
}

/** Bytes of one tile of logits, and of the part of the unembedding in memory at a time. */
const tileBytes = 16 * 2 ** 20
const blockBytes = 256 * 2 ** 20

/**
 * Direct logit effect: logits_i = W_U · (γ ⊙ d_i), with d_i row i of W_dec, centred first where the norm centres.
 * The norm's division by its (positive) scale differs per token and is left out: order and ratios within a feature
 * are exact, sizes are comparable between features of one SAE only where the residual stream's norm is.
 * Later layers that read the feature are not counted ("logit lens").
 * Top are the largest logits, bottom the smallest; of equal ones the lowest token id.
 * @param options.wDec [features, d]; count: tokens on each side, default 10
 * @throws InputError when the sizes disagree
 */
export async function computeLogits(options: {
  pool: WorkerPool
  wDec: Float32Array
  head: LogitHead
  count?: number
  /** Rows of the vocabulary in memory at a time; default by size. Smaller only to test the merge. */
  blockTokens?: number
}): Promise<FeatureLogits> {
  const { pool, wDec, head, count: wanted = 10 } = options
  const width = head.gamma.length
  const features = sized('W_dec', wDec, width)
  const vocabulary = sized('the unembedding', head.unembed, width)
  const count = Math.min(wanted, vocabulary)
  const blockTokens = Math.min(
    vocabulary,
    Math.max(count, options.blockTokens ?? Math.floor(blockBytes / (4 * width))),
  )
  const rows = Math.max(1, Math.min(features, 256, Math.floor(tileBytes / (4 * blockTokens))))
  // Tiles of a round: a few for each worker, so that the copies of rows stay small.
  const tiles = Math.min(Math.ceil(features / rows), 4 * pool.count)
  const layout = layoutOf({ width, blockTokens, rows, tiles, count, workers: pool.count })
  const memory = await pool.memory({ bytes: layout.bytes })
  const session = await pool.session({ graph: logitGraph(), prepack: false })
  const result: FeatureLogits = {
    count,
    topTokens: new Int32Array(features * count).fill(-1),
    topLogits: new Float32Array(features * count).fill(-Infinity),
    bottomTokens: new Int32Array(features * count).fill(-1),
    bottomLogits: new Float32Array(features * count).fill(-Infinity),
  }
  try {
    const place = placeIn(memory, layout)
    for (let token = 0; token < vocabulary; token += blockTokens) {
      const tokens = Math.min(blockTokens, vocabulary - token)
      // γ ⊙ U, so that the rows of W_dec need not change.
      const block = memory.f32(place.block, tokens * width)
      for (let i = 0; i < tokens * width; i++) {
        block[i] = head.unembed[token * width + i] * head.gamma[i % width]
      }
      for (let first = 0; first < features; first += tiles * rows) {
        const held = Math.min(tiles * rows, features - first)
        const directions = memory.f32(place.rows, tiles * rows * width).fill(0)
        directions.set(wDec.subarray(first * width, (first + held) * width))
        if (head.centre) centreRows(directions, width)
        const kept = Math.min(count, tokens)
        await pool.run(
          tasksOf({ session, memory, place, layout, tokens, kept, tiles: Math.ceil(held / rows) }),
        )
        for (let i = 0; i < held; i++) {
          const found = (pointer: number, indices: number) => ({
            values: memory.f32(pointer + 4 * i * kept, kept),
            indices: memory.i32(indices + 4 * i * kept, kept),
          })
          const at = (first + i) * count
          const top = found(place.topValue, place.topIndex)
          const bottom = found(place.bottomValue, place.bottomIndex)
          merge(result.topTokens, result.topLogits, at, count, top, token)
          merge(result.bottomTokens, result.bottomLogits, at, count, bottom, token)
        }
      }
    }
  } finally {
    await pool.closeSession(session)
    await pool.release(memory)
  }
  for (let i = 0; i < result.bottomLogits.length; i++) result.bottomLogits[i] = -result.bottomLogits[i]
  return result
}

/** Logits of a tile and their negatives: the bottom is the top of the negatives. */
function logitGraph(): Uint8Array {
  const graph = createGraph()
  const a = graph.input('a', 'float32', ['R', 'D'])
  const b = graph.input('b', 'float32', ['M', 'D'])
  graph.node('Gemm', [a, b], { transB: 1 }, { outputs: ['y'] })
  graph.node('Neg', ['y'], {}, { outputs: ['negative'] })
  graph.output('y', 'float32', ['R', 'M'])
  graph.output('negative', 'float32', ['R', 'M'])
  return graph.bytes()
}

type Layout = ReturnType<typeof layoutOf>
type Placed = ReturnType<typeof placeIn>

function layoutOf(options: {
  width: number
  blockTokens: number
  rows: number
  tiles: number
  count: number
  workers: number
}) {
  const { width, blockTokens, rows, tiles, count, workers } = options
  const align = (bytes: number) => Math.ceil(bytes / 64) * 64
  const tile = align(4 * rows * blockTokens)
  const scratch = align(topkScratchBytes(blockTokens, count))
  const output = align(4 * tiles * rows * count)
  const bytes =
    align(4 * blockTokens * width) +
    align(4 * tiles * rows * width) +
    workers * (2 * tile + scratch) +
    4 * output
  return {
    width,
    rows,
    tiles,
    workers,
    tile,
    scratch,
    output,
    block: 4 * blockTokens * width,
    bytes: bytes + 1024,
  }
}

function placeIn(memory: SharedMemory, layout: Layout) {
  const { width, rows, tiles, workers, tile, scratch, output, block } = layout
  return {
    block: memory.alloc(block),
    rows: memory.alloc(4 * tiles * rows * width),
    // One of each per worker.
    tile: memory.alloc(workers * tile),
    negative: memory.alloc(workers * tile),
    scratch: memory.alloc(workers * scratch),
    topIndex: memory.alloc(output),
    topValue: memory.alloc(output),
    bottomIndex: memory.alloc(output),
    bottomValue: memory.alloc(output),
  }
}

function tasksOf(options: {
  session: number
  memory: SharedMemory
  place: Placed
  layout: Layout
  tokens: number
  kept: number
  tiles: number
}): Task[] {
  const { session, memory, place, layout, tokens, kept, tiles } = options
  const { rows, width, tile, scratch } = layout
  const id = memory.id
  const worker = (base: number, stride: number) => ({ base, stride })
  const view = (offset: number | { base: number; stride: number }, shape: number[]) =>
    ({ memory: id, offset, dtype: 'float32', shape }) as const
  return Array.from({ length: tiles }, (_, i): Task => {
    const out = 4 * i * rows * kept
    const best = (from: number, index: number, value: number) => ({
      kernel: 'topkRows',
      memory: id,
      args: [
        worker(from, tile),
        tokens,
        rows,
        tokens,
        0,
        kept,
        0,
        index + out,
        value + out,
        worker(place.scratch, scratch),
      ],
    })
    return [
      {
        session,
        inputs: {
          a: view(place.rows + 4 * i * rows * width, [rows, width]),
          b: view(place.block, [tokens, width]),
        },
        outputs: {
          y: view(worker(place.tile, tile), [rows, tokens]),
          negative: view(worker(place.negative, tile), [rows, tokens]),
        },
      },
      best(place.tile, place.topIndex, place.topValue),
      best(place.negative, place.bottomIndex, place.bottomValue),
    ]
  })
}

function centreRows(rows: Float32Array, width: number): void {
  for (let from = 0; from < rows.length; from += width) {
    let sum = 0
    for (let i = from; i < from + width; i++) sum += rows[i]
    for (let i = from; i < from + width; i++) rows[i] -= sum / width
  }
}

/** Merges a block's best (by index) into the best so far (by value, then index); blocks come by index. */
function merge(
  tokens: Int32Array,
  logits: Float32Array,
  at: number,
  count: number,
  found: { values: Float32Array; indices: Int32Array },
  firstToken: number,
): void {
  const known = Array.from({ length: count }, (_, i) => ({ token: tokens[at + i], logit: logits[at + i] }))
  const fresh = Array.from(found.values, (logit, i) => ({ token: found.indices[i] + firstToken, logit }))
  const best = [...known.filter(({ token }) => token >= 0), ...fresh]
  best.sort((a, b) => b.logit - a.logit || a.token - b.token)
  best.slice(0, count).forEach(({ token, logit }, i) => {
    tokens[at + i] = token
    logits[at + i] = logit
  })
}

function sized(name: string, data: Float32Array, width: number): number {
  if (width > 0 && data.length > 0 && data.length % width === 0) return data.length / width
  throw new InputError({
    message: 'the logits of features need matrices of the model’s width',
    field: name,
    found: `${data.length} numbers`,
    expected: `rows of ${width}`,
  })
}

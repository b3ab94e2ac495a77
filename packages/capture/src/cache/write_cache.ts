// Writes cached activations (cache_index.ts): the buffers that a training with this seed would capture, one shard each.
// Memory is that of one buffer. A shard is whole on disk before the index names it, so after a kill the same call continues
// after the last shard listed; a shard's bits depend only on the origin and its number.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkSettings, InputError, type StreamedTensor, streamSafetensors } from '@mistudio/files'
import type { WorkerPool } from '@mistudio/tensor'
import { type ActivationBuffer, createActivationBuffer } from '../buffer/activation_buffer.ts'
import { bytesOf } from '../buffer/hook_rows.ts'
import { type ContextSource, type Forward, widthOf } from '../sources.ts'
import {
  type CacheInfo,
  type CacheOrigin,
  fileDtype,
  indexFile,
  momentsName,
  readIndex,
  shardFile,
  tokensOf,
  writeIndex,
} from './cache_index.ts'

/** Rows gathered before they are written. */
const pieceRows = 8192
const taskRows = 1024

export type CacheProgress = { tokens: number; tokensAsked: number; shards: number }

/**
 * @returns the current index; `complete` is false if `stopped` ended it
 * @throws InputError if the folder holds something else or a cache of another origin (lists the differences), and for
 *   NaN or infinity in the activations
 */
export async function writeActivationCache(options: {
  pool: WorkerPool
  forward: Forward
  contextsPerCall: number
  source: ContextSource
  origin: Omit<CacheOrigin, 'hooks' | 'contextSize'> & { hooks: readonly string[] }
  /** Usable tokens; whole buffers are written. */
  tokens: number
  out: string
  /** Called between shards. */
  stopped?: () => boolean
  onProgress?: (progress: CacheProgress) => void
}): Promise<CacheInfo> {
  const { pool, forward, source, tokens, out, stopped = () => false, onProgress = () => {} } = options
  const origin: CacheOrigin = {
    ...options.origin,
    hooks: [...new Set(options.origin.hooks)].map(name => ({ name, width: widthOf(forward, name) })),
    contextSize: source.contextSize,
  }
  const info = begin({ out, origin, tokens })
  if (info.complete) return info
  const hooks = origin.hooks.map(({ name }) => name)
  const buffer = await createActivationBuffer({
    pool,
    forward,
    contextsPerCall: options.contextsPerCall,
    hooks,
    source,
    contexts: origin.windowContexts,
    seed: origin.seed,
    storedDtype: origin.dtype,
    outlierNormMultiple: origin.outlierNormMultiple,
  })
  try {
    while (tokensOf(info) < tokens && !stopped()) {
      const index = info.shards.length
      const count = await buffer.fill(index)
      await writeShard({ pool, buffer, origin, count, path: shardFile(out, index) })
      info.shards.push({ tokens: count, outliers: hooks.map(hook => buffer.outliers(hook)) })
      info.complete = tokensOf(info) >= tokens
      writeIndex(out, info)
      onProgress({ tokens: tokensOf(info), tokensAsked: tokens, shards: info.shards.length })
    }
    return info
  } finally {
    await buffer.close()
  }
}

/** The folder's index, or a new one. */
function begin(options: { out: string; origin: CacheOrigin; tokens: number }): CacheInfo {
  const { out, origin, tokens } = options
  if (!Number.isSafeInteger(tokens) || tokens < 1) {
    throw new InputError({
      message: 'nothing to cache',
      field: 'tokens',
      found: String(tokens),
      expected: 'at least 1',
    })
  }
  if (!existsSync(indexFile(out))) {
    if (existsSync(out) && readdirSync(out).length > 0) {
      throw new InputError({
        message: 'the output path is already taken',
        file: out,
        expected: 'a new or empty folder, or a cache of the same activations to continue',
      })
    }
    mkdirSync(out, { recursive: true })
    const info = { ...origin, tokensAsked: tokens, complete: false, shards: [] }
    writeIndex(out, info)
    return info
  }
  const found = readIndex(out)
  const { tokensAsked: _tokens, complete: _complete, shards, ...saved } = found
  const plain = (value: CacheOrigin) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>
  checkSettings({ file: indexFile(out), saved: plain(saved), asked: plain(origin) })
  // Listed shards are whole; what a killed process was writing is not.
  for (const name of readdirSync(out)) {
    if (/^shard-\d+\.safetensors\.(partial|tmp-\d+)$/.test(name)) rmSync(join(out, name), { force: true })
  }
  const complete = tokensOf({ shards }) >= tokens
  if (complete !== found.complete || tokens !== found.tokensAsked) {
    writeIndex(out, { ...found, tokensAsked: tokens, complete })
  }
  return { ...found, tokensAsked: tokens, complete }
}

async function writeShard(options: {
  pool: WorkerPool
  buffer: ActivationBuffer
  origin: CacheOrigin
  count: number
  path: string
}): Promise<void> {
  const { pool, buffer, origin, count, path } = options
  const bytes = bytesOf(origin.dtype)
  const widest = Math.max(...origin.hooks.map(({ width }) => width))
  const scratch = await pool.memory({ bytes: pieceRows * widest * bytes + 64 })
  const at = scratch.alloc(pieceRows * widest * bytes)

  async function* rowsInOrder(hook: string, width: number) {
    const from = buffer.activations(hook)
    for (let first = 0; first < count; first += pieceRows) {
      const length = Math.min(pieceRows, count - first)
      const tasks = Array.from({ length: Math.ceil(length / taskRows) }, (_, t) => {
        const row = t * taskRows
        const to = { memory: scratch.id, offset: at + row * width * bytes, dtype: origin.dtype }
        const rows = { ...buffer.rows, offset: buffer.rows.offset + (first + row) * 4 }
        return [{ copy: { from, to, rows, count: Math.min(taskRows, length - row), width } }]
      })
      await pool.run(tasks)
      yield scratch.u8(at, length * width * bytes)
    }
  }

  try {
    const tensors = origin.hooks.flatMap(({ name, width }): StreamedTensor[] => {
      const { sum, sumSquares, sumNorms } = buffer.moments(name)
      const moments = Float64Array.from([...sum, sumSquares, sumNorms])
      return [
        {
          name,
          dtype: fileDtype(origin.dtype),
          shape: [count, width],
          pieces: () => rowsInOrder(name, width),
        },
        {
          name: momentsName(name),
          dtype: 'F64',
          shape: [width + 2],
          pieces: () => [new Uint8Array(moments.buffer)],
        },
      ]
    })
    await streamSafetensors({ path, tensors })
  } finally {
    await pool.release(scratch)
  }
}

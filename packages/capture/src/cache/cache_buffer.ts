// Training from cached activations (cache_index.ts): a buffer is a shard. In the first pass of a training with the
// cache's own seed, shards and rows come in stored order, which is what a capture would have given;
// in every other pass shards and rows are permuted by a function of (seed, pass, position), so a resume finds its place.
import { permutation } from '@mistudio/corpus'
import { InputError, type SafetensorsFile } from '@mistudio/files'
import type { StoredType, WorkerPool } from '@mistudio/tensor'
import { type BufferMoments, bytesOf, type HookRows, rowPlace } from '../buffer/hook_rows.ts'
import { createStoredBuffer, type LoadedRows } from '../buffer/stored_buffer.ts'
import {
  type CacheInfo,
  indexFile,
  momentsName,
  openShard,
  readIndex,
  shardFile,
  tokensOf,
} from './cache_index.ts'
import { type BufferRequest, type CachedActivations, widthAt } from './cached.ts'

/** Rows rounded at a time if the buffer's number type is smaller than the file's. */
const pieceRows = 4096

/** @throws InputError for a damaged or incomplete cache, and missing or wrong shards */
export function openActivationCache(options: { dir: string }): CachedActivations & { info: CacheInfo } {
  const { dir } = options
  const info = readIndex(dir)
  if (!info.complete || info.shards.length === 0) {
    throw new InputError({
      message: 'the cache is not complete',
      file: indexFile(dir),
      field: 'complete',
      found: `${tokensOf(info)} of ${info.tokensAsked} tokens`,
      expected: 'a finished cache; run the same `sae cache` again to continue it',
    })
  }
  for (let index = 0; index < info.shards.length; index++) openShard({ dir, info, index }).close()
  return {
    kind: 'mistudio',
    dir,
    info,
    model: info.model,
    modelFingerprint: info.modelFingerprint,
    tokenizerFingerprint: info.tokenizerFingerprint,
    datasets: info.datasets,
    hooks: info.hooks,
    contextSize: info.contextSize,
    contexts: info.shards.length * info.windowContexts,
    tokens: tokensOf(info),
    openBuffer: buffer => openCacheBuffer({ ...buffer, dir, info }),
    close() {},
  }
}

async function openCacheBuffer(options: BufferRequest & { dir: string; info: CacheInfo }) {
  const { pool, seed, dir, info, storedDtype = 'float32', outlierNormMultiple = 0 } = options
  checkOutlierRule({ dir, info, asked: outlierNormMultiple })
  const hooks = [...new Set(options.hooks)].map(name => ({
    name,
    width: widthAt({ dir, hooks: info.hooks }, name),
  }))
  // Widening stored bfloat16 would only cost memory.
  const dtype: StoredType = info.dtype === 'bfloat16' ? 'bfloat16' : storedDtype
  const shards = info.shards.length
  const shardAt = (index: number) => {
    const pass = Math.floor(index / shards)
    const place = index % shards
    const inOrder = pass === 0 && seed === info.seed
    const order = permutation({ length: shards, seed, purpose: `shards of pass ${pass}` })
    return { shard: inOrder ? place : order.at(place), inOrder }
  }
  return createStoredBuffer({
    pool,
    hooks,
    capacity: Math.max(...info.shards.map(({ tokens }) => tokens)),
    dtype,
    seed,
    // The writer has already applied its rule.
    outlierNormMultiple: info.outlierNormMultiple > 0 ? 0 : outlierNormMultiple,
    contexts: info.windowContexts,
    async load(index, places): Promise<LoadedRows> {
      const { shard, inOrder } = shardAt(index)
      const { tokens, outliers } = info.shards[shard]
      const file = openShard({ dir, info, index: shard })
      try {
        const moments = new Map<string, BufferMoments>()
        for (const place of places) {
          await readRows({ pool, file, place, rows: tokens, stored: info.dtype })
          if (dtype === info.dtype) moments.set(place.hook, readSums({ file, place, tokens }))
        }
        const ofWriter = new Map(info.hooks.map(({ name }, i) => [name, outliers[i]]))
        const locate = (row: number) => ({ file: shardFile(dir, shard), row })
        return { rows: tokens, moments, outliers: ofWriter, inOrder, locate }
      } finally {
        file.close()
      }
    },
  })
}

function checkOutlierRule({ dir, info, asked }: { dir: string; info: CacheInfo; asked: number }): void {
  if (asked === 0 || info.outlierNormMultiple === 0 || asked === info.outlierNormMultiple) return
  throw new InputError({
    message: 'the activations were cached with another outlier rule',
    file: indexFile(dir),
    field: 'outlier_norm_multiple',
    found: `${info.outlierNormMultiple} in the cache`,
    expected: `${asked}, as requested; or 0 to use the cache unchanged`,
  })
}

/** Loads a tensor into its hook point's place, rounded if the place's number type is smaller. */
async function readRows(options: {
  pool: WorkerPool
  file: SafetensorsFile
  place: HookRows
  rows: number
  stored: StoredType
}): Promise<void> {
  const { pool, file, place, rows, stored } = options
  const { memory, hook, d, x } = place
  if (stored === place.dtype) {
    file.readBytes({ name: hook, from: 0, bytes: memory.u8(x, rows * d * bytesOf(stored)) })
    return
  }
  const scratch = await pool.memory({ bytes: pieceRows * d * 4 + 64 })
  try {
    const at = scratch.alloc(pieceRows * d * 4)
    for (let first = 0; first < rows; first += pieceRows) {
      const count = Math.min(pieceRows, rows - first)
      file.readBytes({ name: hook, from: first * d * 4, bytes: scratch.u8(at, count * d * 4) })
      const from = { memory: scratch.id, offset: at }
      await pool.run([[{ copy: { from, to: rowPlace(place, first), count, width: d } }]])
    }
  } finally {
    await pool.release(scratch)
  }
}

function readSums({
  file,
  place,
  tokens,
}: {
  file: SafetensorsFile
  place: HookRows
  tokens: number
}): BufferMoments {
  const all = file.read(momentsName(place.hook)).data as Float64Array
  const { d } = place
  return { tokens, sum: all.slice(0, d), sumSquares: all[d], sumNorms: all[d + 1] }
}

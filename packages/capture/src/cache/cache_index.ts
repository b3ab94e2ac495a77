// Cached activations on disk: what the folder holds, and its index, read as untrusted.
//
//   activation_cache.json     this record, snake_case; only shards listed here count
//   shard-00000.safetensors   one training buffer (activation_buffer.ts) each, only its usable tokens, in the buffer's order:
//                             for every hook point HOOK [tokens, width] and HOOK/moments, float64 [width + 2]:
//                             the sum of the rows, the sum of squares and the sum of norms
//
// Reading the shards in order gives the same bits as a capture with the same seed.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { bytesPerElement, InputError, isObject, openSafetensors, writeFileAtomic } from '@mistudio/files'
import { memoryLimitBytes, type StoredType } from '@mistudio/tensor'

const cacheFormat = 'mistudio activation cache'
const cacheVersion = 1
const maxIndexBytes = 256 * 1024 * 1024
const maxWidth = 1 << 20
const maxHooks = 1 << 16
const maxShards = 1 << 20
const maxWindowTokens = 2 ** 30

/** The origin of the activations; two caches with equal origins hold the same bits. */
export type CacheOrigin = {
  /** The model's name, and a fingerprint to distinguish models of the same name; null if unknown. */
  model: string
  modelFingerprint: string | null
  tokenizerFingerprint: string | null
  hooks: { name: string; width: number }[]
  dtype: StoredType
  contextSize: number
  /** Contexts captured for one shard. */
  windowContexts: number
  seed: number
  datasets: string[]
  datasetWeights: number[] | null
  outlierNormMultiple: number
}

export type CacheInfo = CacheOrigin & {
  /** Usable tokens requested; the last shard may exceed it. */
  tokensAsked: number
  complete: boolean
  shards: { tokens: number; outliers: number[] }[]
}

export const indexFile = (dir: string): string => join(dir, 'activation_cache.json')
export const shardFile = (dir: string, index: number): string =>
  join(dir, `shard-${String(index).padStart(5, '0')}.safetensors`)
export const momentsName = (hook: string): string => `${hook}/moments`
export const fileDtype = (dtype: StoredType): 'F32' | 'BF16' => (dtype === 'bfloat16' ? 'BF16' : 'F32')
export const tokensOf = ({ shards }: Pick<CacheInfo, 'shards'>): number =>
  shards.reduce((sum, { tokens }) => sum + tokens, 0)

export function writeIndex(dir: string, info: CacheInfo): void {
  const record = {
    format: cacheFormat,
    format_version: cacheVersion,
    model: info.model,
    model_fingerprint: info.modelFingerprint,
    tokenizer_fingerprint: info.tokenizerFingerprint,
    hooks: info.hooks,
    dtype: info.dtype,
    context_size: info.contextSize,
    window_contexts: info.windowContexts,
    seed: info.seed,
    datasets: info.datasets,
    dataset_weights: info.datasetWeights,
    outlier_norm_multiple: info.outlierNormMultiple,
    tokens_asked: info.tokensAsked,
    complete: info.complete,
    shards: info.shards,
  }
  writeFileAtomic(indexFile(dir), `${JSON.stringify(record, null, 1)}\n`)
}

/** Reads and checks the index. @throws InputError naming file and field */
export function readIndex(dir: string): CacheInfo {
  const file = indexFile(dir)
  const bytes = statSync(file, { throwIfNoEntry: false })?.size
  const refuse = (message: string, rest: { field?: string; found?: string; expected?: string } = {}) =>
    new InputError({ message, file, ...rest })
  if (bytes === undefined) {
    throw refuse('not a cache of activations', { found: 'nothing', expected: 'activation_cache.json' })
  }
  if (bytes > maxIndexBytes) {
    throw refuse('the index is too long', { found: `${bytes} bytes`, expected: `at most ${maxIndexBytes}` })
  }
  let record: unknown
  try {
    record = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw refuse('the index is not JSON', { found: String(error) })
  }
  if (!isObject(record)) throw refuse('the index is not an object')
  const of = record
  const check = <T>(field: string, expected: string, test: (value: unknown) => value is T): T => {
    const value = of[field]
    if (test(value)) return value
    throw refuse('the index cannot be used', { field, found: JSON.stringify(value) ?? 'absent', expected })
  }
  check('format', cacheFormat, (value): value is string => value === cacheFormat)
  check('format_version', String(cacheVersion), (value): value is number => value === cacheVersion)
  const count =
    (least: number, most: number) =>
    (value: unknown): value is number =>
      Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
  const text = (value: unknown): value is string => typeof value === 'string'
  const textOrNull = (value: unknown): value is string | null => value === null || text(value)
  const listOf =
    <T>(test: (value: unknown) => value is T, most: number) =>
    (value: unknown): value is T[] =>
      Array.isArray(value) && value.length <= most && value.every(test)
  const positive = (value: unknown): value is number =>
    typeof value === 'number' && Number.isFinite(value) && value > 0
  const hooks = check('hooks', 'a list of {name, width}, each name once', isHooks)
  const isShard = (value: unknown): value is CacheInfo['shards'][number] =>
    isObject(value) &&
    count(1, maxWindowTokens)(value.tokens) &&
    listOf(count(0, maxWindowTokens), maxHooks)(value.outliers) &&
    (value.outliers as unknown[]).length === hooks.length
  const contextSize = check('context_size', 'a count', count(1, 1 << 20))
  const windowContexts = check('window_contexts', 'a count', count(1, maxWindowTokens / contextSize))
  const info: CacheInfo = {
    model: check('model', 'a name', text),
    modelFingerprint: check('model_fingerprint', 'a hash or null', textOrNull),
    tokenizerFingerprint: check('tokenizer_fingerprint', 'a hash or null', textOrNull),
    hooks: hooks.map(({ name, width }) => ({ name, width })),
    dtype: check(
      'dtype',
      'float32 or bfloat16',
      (value): value is StoredType => value === 'float32' || value === 'bfloat16',
    ),
    contextSize,
    windowContexts,
    seed: check('seed', 'a count', count(0, Number.MAX_SAFE_INTEGER)),
    datasets: check('datasets', 'a list of names', listOf(text, 1 << 16)),
    datasetWeights: check(
      'dataset_weights',
      'a list of numbers or null',
      (value): value is number[] | null => value === null || listOf(positive, 1 << 16)(value),
    ),
    outlierNormMultiple: check(
      'outlier_norm_multiple',
      'a number, 0 or more',
      (value): value is number => value === 0 || positive(value),
    ),
    tokensAsked: check('tokens_asked', 'a count', count(1, Number.MAX_SAFE_INTEGER)),
    complete: check('complete', 'true or false', (value): value is boolean => typeof value === 'boolean'),
    shards: check(
      'shards',
      `a list of {tokens, outliers}, a number of outliers for each hook`,
      listOf(isShard, maxShards),
    ),
  }
  const most = windowContexts * contextSize
  for (const [i, { tokens }] of info.shards.entries()) {
    if (tokens <= most) continue
    throw refuse('a shard has more tokens than its buffer', {
      field: `shards[${i}].tokens`,
      found: `${tokens}`,
      expected: `at most ${most}`,
    })
  }
  return info
}

function isHooks(value: unknown): value is CacheOrigin['hooks'] {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxHooks) return false
  const names = new Set<unknown>()
  for (const hook of value) {
    if (!isObject(hook) || typeof hook.name !== 'string' || names.has(hook.name)) return false
    const { width } = hook
    if (!Number.isSafeInteger(width) || Number(width) < 1 || Number(width) > maxWidth) return false
    names.add(hook.name)
  }
  return true
}

/**
 * Opens a shard and checks that it holds what the index says: nothing is allocated before the file is known to have
 * the bytes.
 * @throws InputError naming the shard's file and the tensor
 */
export function openShard(options: { dir: string; info: CacheInfo; index: number }) {
  const { dir, info, index } = options
  const path = shardFile(dir, index)
  const { tokens } = info.shards[index]
  const file = openSafetensors(path)
  try {
    for (const { name, width } of info.hooks) {
      checkTensor(name, fileDtype(info.dtype), [tokens, width])
      checkTensor(momentsName(name), 'F64', [width + 2])
      const bytes = tokens * width * bytesPerElement[fileDtype(info.dtype)]
      if (bytes > memoryLimitBytes) {
        throw new InputError({
          message: 'a shard is too large for one memory',
          file: path,
          field: name,
          found: `${bytes} bytes`,
          expected: `at most ${memoryLimitBytes}; cache again with a smaller buffer`,
        })
      }
    }
  } catch (error) {
    file.close()
    throw error
  }
  return file

  function checkTensor(name: string, dtype: string, shape: number[]) {
    const tensor = file.tensors.get(name)
    const found = tensor === undefined ? 'nothing' : `${tensor.dtype} [${tensor.shape}]`
    const expected = `${dtype} [${shape}]`
    if (found === expected) return
    throw new InputError({
      message: 'the shard does not hold what the index says',
      file: path,
      field: name,
      found,
      expected,
    })
  }
}

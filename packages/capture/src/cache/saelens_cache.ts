// Cached activations written by SAELens (CacheActivationsRunner): a folder as Hugging Face's `datasets` saves it, with
// dataset_info.json, state.json and Arrow files; a row is a context, a column a hook point, [context, d_in], plus
// `token_ids` [context]. SAELens does not shuffle what it saves, so a buffer permutes the contexts itself: a
// permutation of all of them that is a function of (seed, pass, position); its tokens are then shuffled as usual.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { permutation } from '@mistudio/corpus'
import { bf16OfBits, InputError, isObject } from '@mistudio/files'
import { memoryLimitBytes } from '@mistudio/tensor'
import type { HookRows } from '../buffer/hook_rows.ts'
import { createStoredBuffer } from '../buffer/stored_buffer.ts'
import { type ArrowBatch, type ArrowFile, openArrowStream } from './arrow_file.ts'
import { readRow } from './arrow_rows.ts'
import { type BufferRequest, type CachedActivations, widthAt } from './cached.ts'

const maxJsonBytes = 16 * 1024 * 1024
const maxFiles = 100_000
const tokenColumn = 'token_ids'

export const isSaeLensCache = (dir: string): boolean =>
  existsSync(join(dir, 'dataset_info.json')) && existsSync(join(dir, 'state.json'))

/**
 * @param options.maskTokens token ids to exclude from training (special tokens); needs the column `token_ids`
 * @throws InputError naming file, column and what is wrong
 */
export function openSaeLensCache(options: {
  dir: string
  maskTokens?: ReadonlySet<number>
}): CachedActivations {
  const { dir, maskTokens } = options
  const { hooks, contextSize, hasTokens } = readFeatures(dir)
  if (maskTokens !== undefined && !hasTokens) {
    throw new InputError({
      message: 'tokens can only be masked if their ids were cached',
      file: join(dir, 'dataset_info.json'),
      field: tokenColumn,
      found: 'nothing',
      expected: 'a column of token ids',
    })
  }
  const files: ArrowFile[] = []
  const close = () => {
    for (const file of files.splice(0)) file.close()
  }
  try {
    for (const name of dataFiles(dir)) files.push(openArrowStream(join(dir, name)))
    const batches = checkedBatches({ files, hooks, contextSize, hasTokens })
    const contexts = batches.at(-1)?.end ?? 0
    if (contexts === 0) {
      throw new InputError({
        message: 'the cache is empty',
        file: dir,
        found: '0 contexts',
        expected: 'at least 1',
      })
    }
    const { model, datasets } = readRunner(dir)
    return {
      kind: 'saelens',
      dir,
      model,
      modelFingerprint: null,
      tokenizerFingerprint: null,
      datasets,
      hooks,
      contextSize,
      contexts,
      tokens: contexts * contextSize,
      openBuffer: buffer =>
        openSaeLensBuffer({ ...buffer, dir, hooks, contextSize, batches, maskTokens, asked: buffer.hooks }),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

type Hook = { name: string; width: number }
/** One batch's rows are contexts [start, end) of all. */
type Batch = { file: ArrowFile; batch: ArrowBatch; start: number; end: number }

async function openSaeLensBuffer(
  options: Omit<BufferRequest, 'hooks'> & {
    asked: readonly string[]
    dir: string
    hooks: readonly Hook[]
    contextSize: number
    batches: readonly Batch[]
    maskTokens: ReadonlySet<number> | undefined
  },
) {
  const { pool, seed, contexts, dir, contextSize, batches, maskTokens } = options
  const { storedDtype = 'float32', outlierNormMultiple = 0 } = options
  const hooks = [...new Set(options.asked)].map(name => ({
    name,
    width: widthAt({ dir, hooks: options.hooks }, name),
  }))
  const length = batches[batches.length - 1].end
  const contextAt = (position: number) => {
    const pass = Math.floor(position / length)
    return permutation({ length, seed, purpose: `cached contexts of pass ${pass}` }).at(position % length)
  }
  return createStoredBuffer({
    pool,
    hooks,
    capacity: contexts * contextSize,
    dtype: storedDtype,
    seed,
    outlierNormMultiple,
    contexts,
    async load(index, places) {
      const mask = new Uint8Array(contexts * contextSize).fill(1)
      const taken: { file: string; row: number }[] = []
      for (let c = 0; c < contexts; c++) {
        const { file, batch, row } = find(batches, contextAt(index * contexts + c))
        for (const place of places) {
          const values = readRow({
            file,
            column: columnOf(file, place.hook),
            batch,
            row,
            shape: [contextSize, place.d],
          })
          putRows(place, c * contextSize, values)
        }
        if (maskTokens !== undefined) {
          const ids = readRow({ file, column: columnOf(file, tokenColumn), batch, row, shape: [contextSize] })
          ids.forEach((id, t) => {
            if (maskTokens.has(id)) mask[c * contextSize + t] = 0
          })
        }
        taken.push({ file: file.path, row })
      }
      return {
        rows: contexts * contextSize,
        mask,
        inOrder: false,
        locate: row => taken[Math.floor(row / contextSize)],
      }
    },
  })
}

/** The batch that holds a context: the first whose end is beyond it. */
function find(
  batches: readonly Batch[],
  context: number,
): { file: ArrowFile; batch: ArrowBatch; row: number } {
  let [low, high] = [0, batches.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (batches[middle].end > context) high = middle
    else low = middle + 1
  }
  const { file, batch, start } = batches[low]
  return { file, batch, row: context - start }
}

function putRows({ memory, x, d, dtype }: HookRows, row: number, values: ArrayLike<number>): void {
  if (dtype === 'float32') {
    memory.f32(x + row * d * 4, values.length).set(values)
    return
  }
  const bits = new Uint32Array(Float32Array.from(values).buffer)
  const at = new Uint16Array(memory.memory.buffer, x + row * d * 2, bits.length)
  for (let i = 0; i < bits.length; i++) at[i] = bf16OfBits(bits[i])
}

function columnOf(file: ArrowFile, name: string) {
  const found = file.columns.find(column => column.name === name)
  if (found !== undefined) return found
  throw file.refuse('schema', file.columns.map(column => column.name).join(', '), `a column ${name}`)
}

/** Checks that every batch has the bytes its rows need, so that no size in the folder's JSON is trusted without them. */
function checkedBatches(options: {
  files: readonly ArrowFile[]
  hooks: readonly Hook[]
  contextSize: number
  hasTokens: boolean
}): Batch[] {
  const { files, hooks, contextSize, hasTokens } = options
  const batches: Batch[] = []
  let start = 0
  for (const file of files) {
    const columns = [
      ...hooks.map(({ name, width }) => ({ name, width })),
      ...(hasTokens ? [{ name: tokenColumn, width: 1 }] : []),
    ]
    const found = columns.map(({ name, width }) => ({ ...columnOf(file, name), width }))
    for (const batch of file.batches) {
      for (const { name, layers, width } of found) {
        const { type, buffer } = layers[layers.length - 1]
        const bytes = type.kind === 'float' || type.kind === 'integer' ? type.bytes : 0
        const needed = batch.rows * contextSize * width * bytes
        const { length } = batch.buffers[buffer + 1] ?? { length: 0 }
        if (bytes === 0 || needed > length) {
          throw file.refuse(
            name,
            `${length} bytes of ${type.kind}`,
            `${needed} for ${batch.rows} contexts of ${contextSize}`,
          )
        }
      }
      if (batch.rows > 0) batches.push({ file, batch, start, end: start + batch.rows })
      start += batch.rows
    }
  }
  return batches
}

/** Hook points: the columns that are Array2D of one length. */
function readFeatures(dir: string): { hooks: Hook[]; contextSize: number; hasTokens: boolean } {
  const file = join(dir, 'dataset_info.json')
  const features = readJson(file).features
  const refuse = (field: string, found: unknown, expected: string) =>
    new InputError({
      message: 'not cached activations of SAELens',
      file,
      field,
      found: JSON.stringify(found) ?? 'absent',
      expected,
    })
  if (!isObject(features)) throw refuse('features', features, 'columns by name')
  const hooks: Hook[] = []
  let contextSize: number | undefined
  for (const [name, feature] of Object.entries(features)) {
    if (!isObject(feature) || feature._type !== 'Array2D') continue
    const { shape } = feature
    if (
      !Array.isArray(shape) ||
      shape.length !== 2 ||
      !shape.every(n => Number.isSafeInteger(n) && n >= 1 && n <= 1 << 20)
    ) {
      throw refuse(`features.${name}.shape`, shape, '[context, d_in]')
    }
    const [length, width] = shape as number[]
    if (contextSize !== undefined && contextSize !== length) {
      throw refuse(`features.${name}.shape`, shape, `contexts of ${contextSize}, as the other columns`)
    }
    if (length * width * 4 > memoryLimitBytes)
      throw refuse(`features.${name}.shape`, shape, 'a context that fits memory')
    contextSize = length
    hooks.push({ name, width })
  }
  if (contextSize === undefined)
    throw refuse('features', Object.keys(features), 'a column of type Array2D, named after its hook point')
  return { hooks, contextSize, hasTokens: Object.hasOwn(features, tokenColumn) }
}

function dataFiles(dir: string): string[] {
  const file = join(dir, 'state.json')
  const state = readJson(file)
  const list = state._data_files
  const refuse = (field: string, found: unknown, expected: string) =>
    new InputError({
      message: 'the state of the dataset cannot be used',
      file,
      field,
      found: JSON.stringify(found) ?? 'absent',
      expected,
    })
  const indices = state._indices_data_files
  if (Array.isArray(indices) && indices.length > 0) {
    throw refuse('_indices_data_files', indices, 'none: save the dataset with flatten_indices()')
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > maxFiles)
    throw refuse('_data_files', list, 'a list of files')
  return list.map((entry: unknown) => {
    const name = isObject(entry) ? entry.filename : undefined
    // Only a file in this folder.
    if (typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]*\.arrow$/.test(name)) return name
    throw refuse('_data_files', entry, 'the name of an .arrow file in this folder')
  })
}

/** On the Hub SAELens puts the runner's settings next to the data. */
function readRunner(dir: string): { model: string | null; datasets: string[] } {
  const file = join(dir, 'cache_activations_runner_cfg.json')
  if (!existsSync(file)) return { model: null, datasets: [] }
  const { model_name: model, dataset_path: dataset } = readJson(file)
  return {
    model: typeof model === 'string' ? model : null,
    datasets: typeof dataset === 'string' ? [dataset] : [],
  }
}

function readJson(file: string): Record<string, unknown> {
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const refuse = (found: string) =>
    new InputError({ message: 'the file cannot be read', file, found, expected: 'a JSON object' })
  if (bytes > maxJsonBytes) throw refuse(`${bytes} bytes`)
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw refuse(String(error))
  }
  if (!isObject(value)) throw refuse(Array.isArray(value) ? 'a list' : String(value))
  return value
}

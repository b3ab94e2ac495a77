// Opening a model folder in Hugging Face layout. The graphs need float32 weights in a file next to them, so every
// model has a folder in the cache: float32 files are linked into it (no copy), float16 and bfloat16 files
// are widened into it once. A changed model file gets a new folder, since sizes and times identify it.
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { InputError, isObject, openSafetensors, replaceFile, type SafetensorsFile } from '@mistudio/files'
import type { Architecture, Decoder, ModelConfig } from './architecture.ts'
import { readDecoder, readJson } from './config.ts'
import type { HookPoint } from './hooks.ts'
import type { ModelShapes } from './runtimes/shapes.ts'
import { type Found, findParameters, type WeightStore, weightStore } from './weights.ts'
import { writeWidened } from './widen.ts'

export type LanguageModel = {
  dir: string
  /** The folder's name. */
  name: string
  config: ModelConfig
  /** What it consists of, found by running its forward pass. */
  shapes: ModelShapes
  forward: Decoder['forward']
  /** Names of the hook points, in the order of the forward pass. */
  hookPoints: readonly string[]
  /** The same with widths and layers. */
  hooks: readonly HookPoint[]
  weights: WeightStore
  /** Numbers in the model's weights; a tied embedding counts once. */
  parameters: number
  /** The dtypes the weights are stored in. */
  storedDtypes: string[]
}

/**
 * Opens a model: config.json and model.safetensors, or the shards of model.safetensors.index.json.
 * @param options.cacheDir where widened weights and graphs are kept; default `defaultCacheDir()`
 * @param options.architectures default all
 * @throws InputError for a missing or broken file, an unknown architecture, or a tensor that disagrees with the
 * config (names the tensor, the shape expected and the one found)
 * @example
 * const model = await openModel({ dir: 'assets/demo/model' })
 * console.log(model.config.nLayers, model.hookPoints)
 */
export async function openModel(options: {
  dir: string
  cacheDir?: string
  architectures?: readonly Architecture[]
}): Promise<LanguageModel> {
  return withWeights(options, ({ description, forward, files, found }) => {
    const { dir } = description
    const weights = prepare({ dir, cacheDir: options.cacheDir ?? defaultCacheDir(), files, found })
    return { ...description, forward, hookPoints: description.hooks.map(({ name }) => name), weights }
  })
}

/** What a model is, without its weights. */
export type ModelDescription = Pick<
  LanguageModel,
  'dir' | 'name' | 'config' | 'shapes' | 'hooks' | 'parameters' | 'storedDtypes'
>

/**
 * Reads only config.json and the headers of the weight files: nothing is widened, linked or cached.
 * @throws InputError as `openModel` does
 */
export function describeModel(options: {
  dir: string
  architectures?: readonly Architecture[]
}): ModelDescription {
  return withWeights(options, ({ description }) => description)
}

function withWeights<T>(
  options: { dir: string; architectures?: readonly Architecture[] },
  use: (opened: {
    description: ModelDescription
    forward: Decoder['forward']
    files: readonly SafetensorsFile[]
    found: Map<string, Found>
  }) => T,
): T {
  const dir = resolve(options.dir)
  const { config, prefix, forward, shapes } = readDecoder({ ...options, dir })
  const files: SafetensorsFile[] = []
  try {
    for (const path of weightFiles(dir)) files.push(openSafetensors(path))
    const found = findParameters({ dir, files, parameters: shapes.parameters, prefix })
    const description = {
      dir,
      name: basename(dir),
      config,
      shapes,
      hooks: shapes.hooks,
      parameters: Array.from(found.values(), ({ shape }) => shape.reduce((n, size) => n * size, 1)).reduce(
        (sum, n) => sum + n,
        0,
      ),
      storedDtypes: [...new Set(Array.from(found.values(), ({ dtype }) => dtype))],
    }
    return use({ description, forward, files, found })
  } finally {
    for (const file of files) file.close()
  }
}

/** The operating system's cache folder; `MISTUDIO_CACHE_DIR` overrides it. */
export function defaultCacheDir(): string {
  const { MISTUDIO_CACHE_DIR, XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  if (MISTUDIO_CACHE_DIR) return MISTUDIO_CACHE_DIR
  const home = homedir() || tmpdir()
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'mistudio')
  if (process.platform === 'win32') return join(LOCALAPPDATA || home, 'mistudio', 'cache')
  return join(XDG_CACHE_HOME || join(home, '.cache'), 'mistudio')
}

/** Paths of a model folder's weight files. @throws InputError */
export function weightFiles(dir: string): string[] {
  const single = join(dir, 'model.safetensors')
  if (existsSync(single)) return [single]
  const index = join(dir, 'model.safetensors.index.json')
  if (!existsSync(index)) {
    throw new InputError({
      message: 'the model folder has no weights',
      file: dir,
      expected: 'model.safetensors or model.safetensors.index.json',
    })
  }
  const { weight_map: map } = readJson(index, 'the index of the shards is missing')
  const fail = (found: unknown): never => {
    throw new InputError({
      message: 'the index of the shards cannot be used',
      file: index,
      field: 'weight_map',
      found: JSON.stringify(found),
      expected: 'names of .safetensors files in the same folder',
    })
  }
  if (!isObject(map)) return fail(map)
  const names = new Set<string>()
  for (const name of Object.values(map)) {
    if (typeof name !== 'string' || name === '' || basename(name) !== name || name.includes('\\'))
      return fail(name)
    names.add(name)
  }
  return [...names].sort().map(name => join(dir, name))
}

/** Puts float32 files into the model's cache folder and opens them there. */
function prepare(options: {
  dir: string
  cacheDir: string
  files: readonly SafetensorsFile[]
  found: Map<string, Found>
}): WeightStore {
  const { dir, cacheDir, files, found } = options
  const used = files.filter(file => Array.from(found.values()).some(match => match.file === file))
  const folder = join(resolve(cacheDir), 'models', `${basename(dir)}-${fingerprint(used)}`)
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new InputError({
      message: 'the cache cannot be written',
      file: folder,
      found: String(error),
      expected: 'a writable folder (MISTUDIO_CACHE_DIR chooses another)',
    })
  }
  const opened = new Map<SafetensorsFile, SafetensorsFile>()
  try {
    used.forEach((file, i) => {
      const path = join(folder, `weights-${i}.safetensors`)
      const tensors = [...found.values()].filter(match => match.file === file)
      if (!existsSync(path)) {
        if (tensors.every(({ dtype }) => dtype === 'F32')) linkOrCopy(file.path, path)
        else writeWidened({ path, found: uniqueTensors(tensors) })
      }
      opened.set(file, openSafetensors(path))
    })
    const prepared = new Map<string, Found>()
    for (const [name, { file, storedName }] of found) {
      const target = opened.get(file)!
      prepared.set(name, { ...target.tensors.get(storedName)!, storedName, file: target })
    }
    return weightStore({ folder, found: prepared })
  } catch (error) {
    for (const file of opened.values()) file.close()
    throw error
  }
}

const uniqueTensors = (tensors: Found[]): Iterable<Found> =>
  new Map(tensors.map(tensor => [tensor.storedName, tensor])).values()

/** Changes when a weight file is replaced, moved or rewritten. */
function fingerprint(files: readonly SafetensorsFile[]): string {
  const hash = createHash('sha256')
  for (const { path, tensors } of files) {
    const real = realpathSync(path)
    const { size, mtimeMs } = statSync(real)
    hash.update(JSON.stringify([real, size, mtimeMs, tensors.size]))
  }
  return hash.digest('hex').slice(0, 16)
}

/**
 * ONNX Runtime refuses external data outside the graph's folder, symbolic links included; a hard link costs
 * nothing. Across file systems only a copy works.
 */
function linkOrCopy(from: string, path: string): void {
  const source = realpathSync(from)
  try {
    linkSync(source, path)
    return
  } catch {
    // Another process linked it meanwhile, or links are not supported here.
    if (existsSync(path)) return
  }
  replaceFile({
    path,
    write(temporary) {
      copyFileSync(source, temporary)
      chmodSync(temporary, 0o644)
    },
  })
}

// The weights of a model as float32 byte ranges of safetensors files that ONNX Runtime can map. Names are those
// of the whole checkpoint; files that omit the leading `model.` or `transformer.` are also accepted.
import { basename } from 'node:path'
import { InputError, type SafetensorsFile, type TensorInfo } from '@mistudio/files'
import type { Parameter } from './architecture.ts'

export type WeightInfo = {
  /** The name in the file. */
  storedName: string
  path: string
  shape: number[]
  byteOffset: number
  byteLength: number
}

export type WeightStore = {
  /** The folder of the float32 files and their graphs. */
  folder: string
  /** @throws InputError if there is no such weight */
  info(name: string): WeightInfo
  readF32(name: string): Float32Array
  /** Total size as float32. */
  bytes: number
  close(): void
}

/** A weight found in one of a model's files, of any dtype. */
export type Found = TensorInfo & { storedName: string; file: SafetensorsFile }

/**
 * Finds every parameter and checks its shape.
 * @throws InputError naming the tensor, the shape required by the config and the one found
 */
export function findParameters(options: {
  dir: string
  files: readonly SafetensorsFile[]
  parameters: readonly Parameter[]
  prefix: string
}): Map<string, Found> {
  const { dir, files, parameters, prefix } = options
  const found = new Map<string, Found>()
  for (const { name, shape } of parameters) {
    const short = name.startsWith(prefix) ? name.slice(prefix.length) : name
    const match = lookUp(files, [name, short])
    const expected = `[${shape.join(', ')}]`
    if (match === undefined) {
      const where = files.length === 1 ? files[0].path : dir
      throw new InputError({
        message: 'a tensor is missing from the weights',
        file: where,
        field: name,
        found: 'nothing',
        expected,
      })
    }
    const { file, dtype } = match
    if (match.shape.join() !== shape.join()) {
      throw new InputError({
        message: 'a tensor disagrees with config.json',
        file: file.path,
        field: match.storedName,
        found: `[${match.shape.join(', ')}]`,
        expected,
      })
    }
    if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16') {
      throw new InputError({
        message: 'weights of this dtype cannot be used',
        file: file.path,
        field: match.storedName,
        found: dtype,
        expected: 'F32, F16 or BF16',
      })
    }
    found.set(name, match)
  }
  return found
}

function lookUp(files: readonly SafetensorsFile[], names: readonly string[]): Found | undefined {
  for (const storedName of names) {
    for (const file of files) {
      const info = file.tensors.get(storedName)
      if (info !== undefined) return { ...info, storedName, file }
    }
  }
  return undefined
}

/** A store over float32 files that are all in `folder`. `found` names the tensors inside them. */
export function weightStore(options: { folder: string; found: Map<string, Found> }): WeightStore {
  const { folder, found } = options
  // The oracle reads it repeatedly, but it is not worth keeping in memory.
  const read = new Map<string, WeakRef<Float32Array>>()
  const find = (name: string): Found => {
    const match = found.get(name)
    if (match !== undefined) return match
    throw new InputError({ message: 'the model has no such weight', file: folder, field: name })
  }
  const files = new Set(Array.from(found.values(), ({ file }) => file))
  return {
    folder,
    info(name) {
      const { storedName, shape, byteOffset, byteLength, file } = find(name)
      return { storedName, shape, byteOffset, byteLength, path: file.path }
    },
    readF32(name) {
      const known = read.get(name)?.deref()
      if (known !== undefined) return known
      const { file, storedName } = find(name)
      const data = file.readF32(storedName)
      read.set(name, new WeakRef(data))
      return data
    },
    bytes: Array.from(found.values(), ({ byteLength }) => byteLength).reduce((sum, n) => sum + n, 0),
    close() {
      for (const file of files) file.close()
    },
  }
}

/** The name by which a graph in the store's folder refers to a weight's file. */
export const externalName = ({ path }: WeightInfo): string => basename(path)

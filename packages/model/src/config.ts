// config.json of a Hugging Face model folder as a decoder: the architecture named by `model_type` reads it, and its
// forward pass run over shapes finds what it consists of.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError, isObject } from '@mistudio/files'
import type { Architecture, Decoder } from './architecture.ts'
import { architectures as known } from './architectures.ts'
import { configReader } from './config_reader.ts'
import { type ModelShapes, shapesOf } from './runtimes/shapes.ts'

export type { ModelConfig } from './architecture.ts'

/** A larger file is not a config. */
const largestConfigBytes = 1 << 22
/** Many times the deepest decoders of today. */
const mostLayers = 4096

/**
 * Reads and checks `dir`/config.json: what the model is, without its weights.
 * @param options.architectures default all
 * @throws InputError naming the file, the key, the value found and the value expected; for an unknown `model_type`,
 * the known ones.
 */
export function readDecoder(options: {
  dir: string
  architectures?: readonly Architecture[]
}): Decoder & { shapes: ModelShapes } {
  const { dir, architectures = known } = options
  const file = join(dir, 'config.json')
  const raw = readJson(file, 'the model folder has no config.json')
  const modelType = raw.model_type
  for (const architecture of architectures) {
    if (typeof modelType !== 'string' || !architecture.modelTypes.includes(modelType)) continue
    const decoder = architecture.read({ reader: configReader({ file, raw }), modelType })
    checkDepth(file, decoder)
    return { ...decoder, shapes: shapesOf(decoder) }
  }
  throw new InputError({
    message: 'unknown model architecture',
    file,
    field: 'model_type',
    found: modelType === undefined ? 'nothing' : JSON.stringify(modelType),
    expected: `one of ${architectures.flatMap(({ modelTypes }) => modelTypes).join(', ')}`,
  })
}

/** An architecture loops over its layers, so their number is bounded first. */
function checkDepth(file: string, { config }: Decoder): void {
  if (config.nLayers <= mostLayers) return
  throw new InputError({
    message: 'the model config cannot be used',
    file,
    field: 'number of layers',
    found: String(config.nLayers),
    expected: `at most ${mostLayers}`,
  })
}

/** A JSON object from a file of bounded size. @throws InputError */
export function readJson(file: string, missing: string): Record<string, unknown> {
  if (!existsSync(file))
    throw new InputError({ message: missing, file, expected: 'a Hugging Face model folder' })
  const size = statSync(file).size
  if (size > largestConfigBytes) {
    throw new InputError({
      message: 'the file is too long',
      file,
      found: `${size} bytes`,
      expected: `at most ${largestConfigBytes}`,
    })
  }
  let raw: unknown
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({ message: 'the file is not JSON', file, found: String(error) })
  }
  if (!isObject(raw))
    throw new InputError({ message: 'the file is not a JSON object', file, found: typeof raw })
  return raw
}

// config.json of a Hugging Face model folder as a ModelConfig. What is common to all decoders is read here,
// the rest by the architecture that `model_type` names (architectures.ts).
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import type { Gpt2Config } from './architectures/gpt2.ts'
import type { LlamaConfig } from './architectures/llama.ts'
import { architectures } from './architectures.ts'
import { configReader, isObject } from './config_reader.ts'

/** What every decoder has, whatever its architecture. Sizes in elements. */
export type DecoderConfig = {
  nLayers: number
  dModel: number
  nHeads: number
  /** Key and value heads; fewer than `nHeads` in grouped-query attention. */
  nKvHeads: number
  dHead: number
  dMlp: number
  /** The longest context, in tokens. */
  nCtx: number
  vocabSize: number
  /** The unembedding is the embedding. */
  tiedEmbeddings: boolean
  normEpsilon: number
  /** Generation ends at any of `eosTokenIds`; `eosTokenId` is the first. */
  eosTokenId: number | null
  eosTokenIds: number[]
  bosTokenId: number | null
}

export type ModelConfig = LlamaConfig | Gpt2Config

/** A config larger than this is not one. */
const largestConfigBytes = 1 << 22

/**
 * Reads and checks `dir`/config.json.
 * @throws InputError naming the file, the key, the value found and the value expected; an unknown `model_type`
 * lists those known.
 */
export function readModelConfig({ dir }: { dir: string }): ModelConfig {
  const file = join(dir, 'config.json')
  const raw = readJson(file, 'the model folder has no config.json')
  const known = Object.keys(architectures)
  const modelType = raw.model_type
  const architecture =
    typeof modelType === 'string' && Object.hasOwn(architectures, modelType)
      ? architectures[modelType as keyof typeof architectures]
      : undefined
  if (architecture === undefined) {
    throw new InputError({
      message: 'unknown model architecture',
      file,
      field: 'model_type',
      found: modelType === undefined ? 'nothing' : JSON.stringify(modelType),
      expected: `one of ${known.join(', ')}`,
    })
  }
  return architecture.readConfig(configReader({ file, raw }))
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

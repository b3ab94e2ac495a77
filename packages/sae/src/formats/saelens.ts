// SAELens v6: `cfg.json` beside `sae_weights.safetensors` with W_enc [d_in, d_sae], b_enc, W_dec [d_sae, d_in],
// b_dec in float32 (sae_lens/saes/sae.py). What SAELens reads back computes the same numbers, so the scalar of
// `expected_average` normalisation is folded into the weights and the config says "none".
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  InputError,
  openSafetensors,
  type SafetensorsFile,
  writeDirectoryAtomic,
  writeSafetensors,
} from '@mistudio/tensor'
import type { SaeShape, SaeWeights } from '../topk_learner/families.ts'

/** What an SAE's folder says beside its weights. Unknown numbers are absent, never invented. */
export type SaeMetadata = {
  modelName: string
  hookPoint: string
  contextSize: number
  /** Tokens the SAE was trained on; absent when a file does not say. */
  trainingTokens?: number
  seed?: number
  dataset?: string[]
}

/** An SAE's folder without its weights. */
export type SaeDescription = {
  dir: string
  architecture: 'topk'
  shape: SaeShape
  k: number
  metadata: SaeMetadata
}

export type SaeFile = SaeDescription & { weights: SaeWeights }

const configName = 'cfg.json'
const weightsName = 'sae_weights.safetensors'
/** What an SAE's folder consists of. */
export const saeLensFiles = [configName, weightsName] as const

/** A config larger than this is not one. */
const largestConfigBytes = 1 << 22

/** x·s is what was trained on: W_enc·s, W_dec/s and b_dec/s read and write unscaled x. b_enc stays. */
export function foldScale(weights: SaeWeights, scale: number): SaeWeights {
  return {
    wEnc: weights.wEnc.map(value => value * scale),
    bEnc: weights.bEnc.slice(),
    wDec: weights.wDec.map(value => value / scale),
    bDec: weights.bDec.map(value => value / scale),
  }
}

/** [rows, columns] → [columns, rows]. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length)
  const tile = 32
  for (let r0 = 0; r0 < rows; r0 += tile) {
    for (let c0 = 0; c0 < columns; c0 += tile) {
      for (let r = r0; r < Math.min(rows, r0 + tile); r++) {
        for (let c = c0; c < Math.min(columns, c0 + tile); c++) result[c * rows + r] = matrix[r * columns + c]
      }
    }
  }
  return result
}

/** Writes the folder as one: a crash leaves the old one or none. */
export async function saveSaeLens(options: {
  dir: string
  shape: SaeShape
  k: number
  weights: SaeWeights
  /** The normalisation's scalar, 1 for none. */
  scale: number
  metadata: SaeMetadata
}): Promise<void> {
  const { dir, shape, k, scale, metadata } = options
  const { dIn, dSae } = shape
  const weights = foldScale(options.weights, scale)
  const config = {
    architecture: 'topk',
    d_in: dIn,
    d_sae: dSae,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: true,
    normalize_activations: 'none',
    reshape_activations: 'none',
    k,
    rescale_acts_by_decoder_norm: false,
    metadata: {
      sae_lens_version: '6.0.0',
      sae_lens_training_version: null,
      model_name: metadata.modelName,
      hook_name: metadata.hookPoint,
      hook_head_index: null,
      context_size: metadata.contextSize,
      prepend_bos: false,
      model_class_name: 'HookedTransformer',
      dataset_path: metadata.dataset?.join(',') ?? null,
      mistudio_training_tokens: metadata.trainingTokens ?? null,
      mistudio_seed: metadata.seed ?? null,
      mistudio_folded_scale: scale,
    },
  }
  await writeDirectoryAtomic({
    path: dir,
    async write(folder) {
      writeFileSync(join(folder, configName), `${JSON.stringify(config, null, 2)}\n`)
      await writeSafetensors({
        path: join(folder, weightsName),
        tensors: [
          { name: 'W_dec', dtype: 'F32', shape: [dSae, dIn], data: weights.wDec },
          { name: 'W_enc', dtype: 'F32', shape: [dIn, dSae], data: transpose(weights.wEnc, dSae, dIn) },
          { name: 'b_dec', dtype: 'F32', shape: [dIn], data: weights.bDec },
          { name: 'b_enc', dtype: 'F32', shape: [dSae], data: weights.bEnc },
        ],
      })
    },
  })
}

/** Reads a SAELens v6 TopK folder. @throws InputError naming file, field, found and expected. */
export function loadSaeLens({ dir }: { dir: string }): SaeFile {
  return withTensors(dir, ({ description, config, tensors }) => {
    const { dIn, dSae } = description.shape
    const weights: SaeWeights = {
      wEnc: transpose(tensors.readF32('W_enc'), dIn, dSae),
      bEnc: tensors.readF32('b_enc'),
      wDec: tensors.readF32('W_dec'),
      bDec: tensors.readF32('b_dec'),
    }
    if (config.rescale_acts_by_decoder_norm === true) foldDecoderNorms(weights, dIn)
    return { ...description, weights }
  })
}

/** Reads cfg.json and the head of the weights' file alone. @throws InputError as `loadSaeLens` */
export function describeSaeLens({ dir }: { dir: string }): SaeDescription {
  return withTensors(dir, ({ description }) => description)
}

function withTensors<T>(
  dir: string,
  use: (opened: {
    description: SaeDescription
    config: Record<string, unknown>
    tensors: SafetensorsFile
  }) => T,
): T {
  const file = join(dir, configName)
  const config = readConfig(file)
  const expect = (field: string, wanted: readonly unknown[]) => {
    const found = config[field]
    if (wanted.includes(found)) return
    throw new InputError({
      message: 'this SAE cannot be used as it is stored',
      file,
      field,
      found: JSON.stringify(found),
      expected: wanted.map(value => JSON.stringify(value) ?? 'absent').join(' or '),
    })
  }
  expect('architecture', ['topk'])
  expect('normalize_activations', ['none', undefined])
  expect('reshape_activations', ['none', undefined])
  expect('apply_b_dec_to_input', [true, undefined])
  const dIn = size(file, config, 'd_in')
  const dSae = size(file, config, 'd_sae')
  const k = size(file, config, 'k')
  if (k > dSae) {
    throw new InputError({
      message: 'k exceeds d_sae',
      file,
      field: 'k',
      found: String(k),
      expected: `at most ${dSae}`,
    })
  }
  const tensors = openSafetensors(join(dir, weightsName))
  try {
    checkShapes(tensors, { W_enc: [dIn, dSae], b_enc: [dSae], W_dec: [dSae, dIn], b_dec: [dIn] })
    const metadata = metadataOf(config)
    return use({
      description: { dir, architecture: 'topk', shape: { dIn, dSae }, k, metadata },
      config,
      tensors,
    })
  } finally {
    tensors.close()
  }
}

function checkShapes(tensors: SafetensorsFile, shapes: Record<string, number[]>): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const found = tensors.tensors.get(name)
    if (found?.shape.join() === shape.join()) continue
    throw new InputError({
      message: 'the weights disagree with cfg.json',
      file: tensors.path,
      field: name,
      found: found === undefined ? 'no such tensor' : `[${found.shape}]`,
      expected: `[${shape}]`,
    })
  }
}

/** SAELens's `rescale_acts_by_decoder_norm` selects on π‖d‖ and decodes with d/‖d‖: the same as these weights. */
function foldDecoderNorms(weights: SaeWeights, dIn: number): void {
  for (let i = 0; i < weights.bEnc.length; i++) {
    const row = weights.wDec.subarray(i * dIn, (i + 1) * dIn)
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
    if (norm === 0) continue
    weights.bEnc[i] *= norm
    for (let j = 0; j < dIn; j++) {
      row[j] /= norm
      weights.wEnc[i * dIn + j] *= norm
    }
  }
}

function readConfig(file: string): Record<string, unknown> {
  const unreadable = (found?: string) =>
    new InputError({
      message: 'the SAE folder has no readable cfg.json',
      file,
      found,
      expected: 'a SAELens v6 folder',
    })
  let text: string
  let bytes = 0
  try {
    const found = statSync(file)
    // A device or a pipe might never end.
    if (!found.isFile()) throw unreadable()
    bytes = found.size
    text = bytes > largestConfigBytes ? '' : readFileSync(file, 'utf8')
  } catch {
    throw unreadable()
  }
  if (bytes > largestConfigBytes) throw unreadable(`${bytes} bytes`)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new InputError({
      message: 'cfg.json is not JSON',
      file,
      found: String(error),
      expected: 'a JSON object',
    })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new InputError({
      message: 'cfg.json is not an object',
      file,
      found: typeof parsed,
      expected: 'a JSON object',
    })
  }
  return parsed as Record<string, unknown>
}

function size(file: string, config: Record<string, unknown>, field: string): number {
  const value = config[field]
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 2 ** 24) return value
  throw new InputError({
    message: 'cfg.json has no usable size',
    file,
    field,
    found: JSON.stringify(value) ?? 'absent',
    expected: 'a whole number from 1 to 16,777,216',
  })
}

function metadataOf(config: Record<string, unknown>): SaeMetadata {
  const nested = config.metadata
  const metadata = (typeof nested === 'object' && nested !== null ? nested : config) as Record<
    string,
    unknown
  >
  const tokens = metadata.mistudio_training_tokens
  const seed = metadata.mistudio_seed
  return {
    modelName: typeof metadata.model_name === 'string' ? metadata.model_name : 'unknown',
    hookPoint: typeof metadata.hook_name === 'string' ? metadata.hook_name : 'unknown',
    contextSize: typeof metadata.context_size === 'number' ? metadata.context_size : 0,
    ...(typeof tokens === 'number' ? { trainingTokens: tokens } : {}),
    ...(typeof seed === 'number' ? { seed } : {}),
    ...(typeof metadata.dataset_path === 'string' ? { dataset: metadata.dataset_path.split(',') } : {}),
  }
}

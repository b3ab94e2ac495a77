// The `metadata` of cfg.json: under SAELens's names where it has one, otherwise under `mistudio_…`.
import { isObject } from '@mistudio/files'
import type { SaeHooks } from '../../sae.ts'
import type { SaeMetadata } from '../format.ts'
import { isJoint, type Structure } from './architectures.ts'

export function writeMetadata(options: {
  metadata: SaeMetadata
  family: string
  hooks: SaeHooks
  structure: Structure
}): Record<string, unknown> {
  const { metadata, family, hooks, structure } = options
  const { modelName, contextSize, trainingTokens, seed, dataset, thresholds, training } = metadata
  const [output] = hooks.outputs
  const [input] = hooks.inputs
  const joint = isJoint(structure)
  return {
    sae_lens_version: '6.0.0',
    sae_lens_training_version: null,
    model_name: modelName,
    hook_name: input.hook,
    hook_head_index: null,
    ...(structure !== 'sae' && !joint && { hook_name_out: output.hook, hook_head_index_out: null }),
    context_size: contextSize,
    prepend_bos: false,
    model_class_name: 'HookedTransformer',
    dataset_path: dataset?.join(',') ?? null,
    mistudio_family: family,
    ...(joint && { mistudio_inputs: hooks.inputs, mistudio_outputs: hooks.outputs }),
    mistudio_training_tokens: trainingTokens ?? null,
    mistudio_seed: seed ?? null,
    ...(thresholds !== undefined && {
      mistudio_threshold_ema: thresholds.ema,
      mistudio_threshold_calibrated: thresholds.calibrated,
      mistudio_calibration_l0: thresholds.l0,
      mistudio_calibration_tokens: thresholds.tokens,
    }),
    ...(training !== undefined && { mistudio_training: training }),
  }
}

/** `config` is the whole of cfg.json: before version 6 its top level held what `metadata` holds now. */
export function metadataOf(config: Record<string, unknown>): Record<string, unknown> {
  return isObject(config.metadata) ? config.metadata : config
}

export function readMetadata(config: Record<string, unknown>): SaeMetadata {
  const found = metadataOf(config)
  const number = (name: string) => (typeof found[name] === 'number' ? found[name] : undefined)
  const text = (name: string) => (typeof found[name] === 'string' ? found[name] : undefined)
  const defined = <T extends object>(values: T) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>
  const stored = (name: string) => number(name) ?? null
  const thresholds = {
    ema: stored('mistudio_threshold_ema'),
    calibrated: stored('mistudio_threshold_calibrated'),
    l0: stored('mistudio_calibration_l0'),
    tokens: stored('mistudio_calibration_tokens'),
  }
  return {
    modelName: text('model_name') ?? 'unknown',
    contextSize: number('context_size') ?? 0,
    ...defined({
      trainingTokens: number('mistudio_training_tokens'),
      seed: number('mistudio_seed'),
      dataset: text('dataset_path')?.split(','),
      thresholds: 'mistudio_threshold_ema' in found ? thresholds : undefined,
      training: isObject(found.mistudio_training) ? found.mistudio_training : undefined,
    }),
  }
}

// Reads cfg.json as untrusted: what kind of SAE it describes, before reading any weights.
import { readFileSync, statSync } from 'node:fs'
import { InputError, isObject } from '@mistudio/files'
import {
  type Activation,
  type HookSpan,
  outputsAreInputs,
  type RowNormalisation,
  type Sae,
  type SaeHooks,
} from '../../sae.ts'
import type { LatentGroup, SaeShape, Span } from '../../shape.ts'
import {
  type Architecture,
  architectureNamed,
  isJoint,
  normalisationNames,
  usualFamily,
} from './architectures.ts'
import { metadataOf } from './metadata.ts'

export type SaeConfig = {
  architecture: Architecture
  /** SAELens ranks π·‖d‖ instead of π. */
  rescaled: boolean
  sae: Omit<Sae, 'weights'>
}

type Config = Record<string, unknown>

/** @throws InputError naming field, found and expected */
export function parseConfig({ file, config: given }: { file: string; config: Config }): SaeConfig {
  const config = migrated(file, given)
  const refuse = refusal(file, config)
  const architecture = architectureNamed({ name: config.architecture, file })
  const { structure, saeLens, activation: kind } = architecture
  const dIn = size(file, config, 'd_in')
  const dSae = size(file, config, 'd_sae')
  const dOut = structure === 'sae' ? dIn : size(file, config, 'd_out')
  const shape: SaeShape = { dIn, dSae, dOut }
  const activation: Activation = kind === 'topk' ? { kind, k: kOf(file, config, dSae) } : { kind }
  // What SAELens flattens is already flat here.
  if (!['none', 'hook_z', undefined].includes(config.reshape_activations as string | undefined)) {
    throw refuse('reshape_activations', 'none or hook_z')
  }
  const centred = config.apply_b_dec_to_input ?? structure === 'sae'
  if (typeof centred !== 'boolean') throw refuse('apply_b_dec_to_input', 'true or false')
  if (centred && dIn !== dOut) throw refuse('apply_b_dec_to_input', 'false if d_in and d_out differ')
  if (centred && structure !== 'sae' && saeLens)
    throw refuse('apply_b_dec_to_input', 'false for a transcoder')
  const hooks = hooksOf({ file, config, architecture, shape })
  const groups =
    structure === 'cross_layer_transcoder'
      ? groupsOf({ config, shape, refuse })
      : [{ latents: [0, dSae], input: [0, dIn], output: [0, dOut] } as const]
  const normalisation = normalisationOf(config, refuse)
  if (normalisation !== 'none' && structure === 'skip_transcoder' && saeLens) {
    throw refuse('normalize_activations', 'none for a skip_transcoder, whose W_skip reads the raw x')
  }
  if (normalisation !== 'none' && structure === 'transcoder' && saeLens && outputsAreInputs(hooks)) {
    throw refuse('normalize_activations', 'none for a transcoder from a hook point to itself')
  }
  const family = metadataOf(config).mistudio_family
  return {
    architecture,
    rescaled: config.rescale_acts_by_decoder_norm === true,
    sae: {
      family: typeof family === 'string' && family.length <= 100 ? family : usualFamily(architecture),
      shape,
      groups,
      activation,
      centred,
      normalisation,
      hooks,
    },
  }
}

type Refuse = (field: string, expected: string) => InputError

const refusal =
  (file: string, config: Config): Refuse =>
  (field, expected) =>
    new InputError({
      message: 'this SAE cannot be used as it is stored',
      file,
      field,
      found: JSON.stringify(config[field])?.slice(0, 200) ?? 'absent',
      expected,
    })

/** Files from before version 6 name the activation separately from the architecture. */
function migrated(file: string, config: Config): Config {
  if (isObject(config.metadata)) return config
  const refuse = refusal(file, config)
  const field = 'activation_fn_str' in config ? 'activation_fn_str' : 'activation_fn'
  const activation = config[field] ?? 'relu'
  if (config.finetuning_scaling_factor === true) throw refuse('finetuning_scaling_factor', 'false')
  const old: Config = { ...config, architecture: config.architecture ?? 'standard' }
  if (typeof config.normalize_activations === 'boolean') {
    old.normalize_activations = config.normalize_activations ? 'expected_average_only_in' : 'none'
  }
  if (activation === 'topk') {
    const { activation_fn_kwargs: options } = config
    return { ...old, architecture: 'topk', k: (isObject(options) ? options.k : undefined) ?? config.k }
  }
  if (activation !== 'relu') throw refuse(field, 'relu or topk')
  return old
}

function normalisationOf(config: Config, refuse: Refuse): RowNormalisation {
  const given = config.normalize_activations ?? 'none'
  for (const [kind, name] of Object.entries(normalisationNames)) {
    if (given === name) return kind as RowNormalisation
  }
  throw refuse(
    'normalize_activations',
    `${Object.values(normalisationNames).join(', ')}; others have a scale that is not in the file: fold it first`,
  )
}

function hooksOf(options: {
  file: string
  config: Config
  architecture: Architecture
  shape: SaeShape
}): SaeHooks {
  const { file, config, architecture, shape } = options
  const metadata = metadataOf(config)
  const { structure } = architecture
  if (isJoint(structure)) {
    const read = (field: string, width: number) => spansOf({ file, value: metadata[field], field, width })
    return { inputs: read('mistudio_inputs', shape.dIn), outputs: read('mistudio_outputs', shape.dOut) }
  }
  const name = (field: string, otherwise: string) =>
    typeof metadata[field] === 'string' ? metadata[field] : otherwise
  const input = { hook: name('hook_name', 'unknown'), width: shape.dIn }
  if (structure === 'sae') return { inputs: [input], outputs: [input] }
  return {
    inputs: [input],
    outputs: [{ hook: name('hook_name_out', 'unknown output'), width: shape.dOut }],
  }
}

const mostHooks = 1024

function spansOf({
  file,
  value,
  field,
  width,
}: {
  file: string
  value: unknown
  field: string
  width: number
}): HookSpan[] {
  const isSpan = (one: unknown): one is HookSpan =>
    isObject(one) &&
    typeof one.hook === 'string' &&
    Number.isSafeInteger(one.width) &&
    (one.width as number) > 0
  const spans = Array.isArray(value) && value.length <= mostHooks && value.every(isSpan) ? value : []
  if (spans.length > 0 && spans.reduce((sum, one) => sum + one.width, 0) === width) {
    return spans.map(({ hook, width: columns }) => ({ hook, width: columns }))
  }
  throw new InputError({
    message: 'cfg.json does not say which hook points this SAE reads and writes',
    file,
    field: `metadata.${field}`,
    found: JSON.stringify(value)?.slice(0, 200) ?? 'absent',
    expected: `hook points whose widths add up to ${width}`,
  })
}

/** Groups cover all latents in order, within the existing columns. */
function groupsOf({
  config,
  shape,
  refuse,
}: {
  config: Config
  shape: SaeShape
  refuse: Refuse
}): LatentGroup[] {
  const { mistudio_groups: given } = config
  const expected = 'latents in ascending groups, with the columns they read and write'
  if (!Array.isArray(given) || given.length === 0 || given.length > mostHooks) {
    throw refuse('mistudio_groups', expected)
  }
  const isSpan = (value: unknown, most: number): value is Span =>
    Array.isArray(value) &&
    value.length === 2 &&
    value.every(Number.isSafeInteger) &&
    value[0] >= 0 &&
    value[0] < value[1] &&
    value[1] <= most
  let next = 0
  const groups = given.map((group): LatentGroup => {
    if (
      !isObject(group) ||
      !isSpan(group.latents, shape.dSae) ||
      !isSpan(group.input, shape.dIn) ||
      !isSpan(group.output, shape.dOut) ||
      group.latents[0] !== next
    ) {
      throw refuse('mistudio_groups', expected)
    }
    const { latents, input, output } = group
    next = latents[1]
    return { latents, input, output }
  })
  if (next !== shape.dSae) throw refuse('mistudio_groups', expected)
  return groups
}

function kOf(file: string, config: Config, dSae: number): number {
  const k = size(file, config, 'k')
  if (k <= dSae) return k
  throw new InputError({
    message: 'k exceeds d_sae',
    file,
    field: 'k',
    found: String(k),
    expected: `at most ${dSae}`,
  })
}

function size(file: string, config: Config, field: string): number {
  const value = config[field]
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 2 ** 24) return value
  throw new InputError({
    message: 'cfg.json has no usable size',
    file,
    field,
    found: JSON.stringify(value)?.slice(0, 200) ?? 'absent',
    expected: 'a whole number from 1 to 16,777,216',
  })
}

/** A larger file is not a config. */
const largestConfigBytes = 1 << 22

/** @throws InputError if it is missing, not a regular file, too long or not a JSON object */
export function readConfigFile(file: string): Config {
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
    // Reading a device or a pipe might never end.
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
  if (isObject(parsed)) return parsed
  throw new InputError({
    message: 'cfg.json is not an object',
    file,
    found: typeof parsed,
    expected: 'a JSON object',
  })
}

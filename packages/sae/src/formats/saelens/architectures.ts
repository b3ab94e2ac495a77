// Names of architectures in cfg.json. SAELens's own are used if SAELens computes the same as we do (sae_lens 6,
// saes/*.py); everything else is written in the same layout under our own name, which SAELens rejects as unknown.
import { InputError } from '@mistudio/files'
import { type Activation, outputsAreInputs, type RowNormalisation, type Sae } from '../../sae.ts'

/** How hook points and latents are connected. */
export type Structure = 'sae' | 'transcoder' | 'skip_transcoder' | 'crosscoder' | 'cross_layer_transcoder'

/** Whether it reads or writes several hook points, which SAELens's names cannot express. */
export const isJoint = (structure: Structure) =>
  structure === 'crosscoder' || structure === 'cross_layer_transcoder'

export type Architecture = {
  /** In cfg.json. */
  name: string
  structure: Structure
  activation: Activation['kind']
  /** Whether SAELens has it. */
  saeLens: boolean
  /** SAELens's training checkpoints of BatchTopK: a scalar `topk_threshold` instead of θ. */
  trainingThreshold?: boolean
}

const known: readonly Architecture[] = [
  { name: 'standard', structure: 'sae', activation: 'relu', saeLens: true },
  { name: 'topk', structure: 'sae', activation: 'topk', saeLens: true },
  { name: 'jumprelu', structure: 'sae', activation: 'jumprelu', saeLens: true },
  { name: 'gated', structure: 'sae', activation: 'gated', saeLens: true },
  { name: 'transcoder', structure: 'transcoder', activation: 'relu', saeLens: true },
  { name: 'skip_transcoder', structure: 'skip_transcoder', activation: 'relu', saeLens: true },
  { name: 'jumprelu_transcoder', structure: 'transcoder', activation: 'jumprelu', saeLens: true },
  { name: 'jumprelu_skip_transcoder', structure: 'skip_transcoder', activation: 'jumprelu', saeLens: true },
  { name: 'batchtopk', structure: 'sae', activation: 'jumprelu', saeLens: true, trainingThreshold: true },
  {
    name: 'matryoshka_batchtopk',
    structure: 'sae',
    activation: 'jumprelu',
    saeLens: true,
    trainingThreshold: true,
  },
]

const structures = ['sae', 'transcoder', 'skip_transcoder', 'crosscoder', 'cross_layer_transcoder'] as const
const kinds = ['relu', 'topk', 'jumprelu', 'gated'] as const
const own: readonly Architecture[] = structures.flatMap(structure =>
  kinds.map(activation => ({
    name: `mistudio_${activation}_${structure}`,
    structure,
    activation,
    saeLens: false,
  })),
)

/** SAELens's name of a row normalisation: `constant_norm_rescale` is x·√d/‖x‖, which it still computes but no longer trains. */
export const normalisationNames: Record<RowNormalisation, string> = {
  none: 'none',
  layer_norm: 'layer_norm',
  token_rms: 'constant_norm_rescale',
}

function structureOf({ hooks, groups, weights }: Sae): Structure {
  if (groups.length > 1) return 'cross_layer_transcoder'
  if (hooks.inputs.length > 1 || hooks.outputs.length > 1) return 'crosscoder'
  if (weights.wSkip !== undefined) return 'skip_transcoder'
  return outputsAreInputs(hooks) ? 'sae' : 'transcoder'
}

/** The name under which an SAE is written. */
export function architectureOf(sae: Sae): Architecture {
  const structure = structureOf(sae)
  const activation = sae.activation.kind
  const is = (one: Architecture) => one.structure === structure && one.activation === activation
  // In SAELens a transcoder never subtracts b_dec, and W_skip reads x as it was before its rows were normalised.
  const differs =
    (structure !== 'sae' && sae.centred) ||
    (structure === 'skip_transcoder' && (sae.normalisation !== 'none' || outputsAreInputs(sae.hooks)))
  const theirs = known.find(one => is(one) && one.trainingThreshold !== true)
  return theirs === undefined || differs ? own.find(is)! : theirs
}

/** @throws InputError for a name that is neither SAELens's nor ours */
export function architectureNamed({ name, file }: { name: unknown; file: string }): Architecture {
  const found = [...known, ...own].find(one => one.name === name)
  if (found !== undefined) return found
  throw new InputError({
    message: 'this SAE cannot be used as it is stored',
    file,
    field: 'architecture',
    found: JSON.stringify(name) ?? 'absent',
    expected: `${known.map(one => one.name).join(', ')} or one of miStudio's own`,
  })
}

/** The family of an SAE whose file does not name one. */
export function usualFamily({ name, structure, activation }: Architecture): string {
  switch (structure) {
    case 'sae':
      if (name === 'matryoshka_batchtopk') return 'matryoshka'
      if (name === 'batchtopk') return name
      return activation === 'relu' ? 'standard' : activation
    default:
      return structure
  }
}

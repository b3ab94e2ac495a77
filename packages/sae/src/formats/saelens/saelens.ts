// SAELens v6: `cfg.json` and `sae_weights.safetensors` (sae_lens/saes/sae.py). What SAELens reads back computes the
// same numbers; what it cannot compute has an architecture name that it rejects (architectures.ts).
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  InputError,
  openSafetensors,
  type SafetensorsFile,
  writeDirectoryAtomic,
  writeSafetensors,
} from '@mistudio/files'
import { foldNorms, outputNorms } from '../../folding.ts'
import type { Sae, SaeWeights } from '../../sae.ts'
import type { SaeDescription, SaeFile, SaeFormat, SaeMetadata } from '../format.ts'
import { architectureOf, normalisationNames } from './architectures.ts'
import { parseConfig, readConfigFile, type SaeConfig } from './config.ts'
import { readMetadata, writeMetadata } from './metadata.ts'
import { checkTensors, readFinite, readWeights, tensorShapes, tensorsOf } from './tensors.ts'

const configName = 'cfg.json'
const weightsName = 'sae_weights.safetensors'

export const saelens: SaeFormat = {
  name: 'saelens',
  summary: `a folder with ${configName} and ${weightsName}`,
  marks: [configName],
  recognise: ({ dir }) => existsSync(join(dir, configName)),
  describe: ({ dir }) => withTensors(dir, ({ description }) => description),
  load,
  files: () => [configName, weightsName],
  save,
}

async function save(options: { dir: string; sae: Sae; metadata: SaeMetadata }): Promise<void> {
  const { dir, sae, metadata } = options
  const { dIn, dSae, dOut } = sae.shape
  const architecture = architectureOf(sae)
  const { name, structure, saeLens } = architecture
  const config = {
    architecture: name,
    d_in: dIn,
    d_sae: dSae,
    ...(structure !== 'sae' && { d_out: dOut }),
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: sae.centred,
    normalize_activations: normalisationNames[sae.normalisation],
    reshape_activations: 'none',
    ...(sae.activation.kind === 'topk' && { k: sae.activation.k, rescale_acts_by_decoder_norm: false }),
    ...(sae.groups.length > 1 && { mistudio_groups: sae.groups }),
    metadata: writeMetadata({ metadata, family: sae.family, hooks: sae.hooks, structure }),
  }
  // What is written must be readable: catches a hook point without a name or sizes out of range.
  parseConfig({ file: join(dir, configName), config: JSON.parse(JSON.stringify(config)) })
  if (!saeLens && sae.weights.wSkip === undefined && structure === 'skip_transcoder') {
    throw new Error('a skip transcoder has no W_skip')
  }
  await writeDirectoryAtomic({
    path: dir,
    async write(folder) {
      writeFileSync(join(folder, configName), `${JSON.stringify(config, null, 2)}\n`)
      await writeSafetensors({ path: join(folder, weightsName), tensors: tensorsOf(sae) })
    },
  })
}

function load({ dir }: { dir: string }): SaeFile {
  return withTensors(dir, ({ description, config, shaped, tensors }) => {
    const weights = readWeights(tensors, shaped)
    if (config.rescaled) foldScore(config.sae, weights)
    if (config.architecture.trainingThreshold) {
      const [threshold] = readFinite(tensors, trainingThreshold)
      weights.threshold = new Float32Array(description.shape.dSae).fill(threshold)
    }
    return { ...description, weights }
  })
}

/** θ of SAELens's BatchTopK checkpoints, a float64 scalar in the units of the score. */
const trainingThreshold = 'topk_threshold'

type Opened = {
  description: SaeDescription
  config: SaeConfig
  /** What the weights' tensors are checked against. */
  shaped: Parameters<typeof readWeights>[1]
  tensors: SafetensorsFile
}

function withTensors<T>(dir: string, use: (opened: Opened) => T): T {
  const file = join(dir, configName)
  const json = readConfigFile(file)
  const config = parseConfig({ file, config: json })
  const { architecture, sae } = config
  const tensors = openSafetensors(join(dir, weightsName))
  try {
    const skip =
      architecture.structure === 'skip_transcoder' || (!architecture.saeLens && tensors.tensors.has('W_skip'))
    const activation = architecture.trainingThreshold ? ({ kind: 'relu' } as const) : sae.activation
    const shaped = { shape: sae.shape, groups: sae.groups, activation, skip }
    const shapes = tensorShapes(shaped)
    if (architecture.trainingThreshold) shapes.set(trainingThreshold, [])
    checkTensors(tensors, shapes)
    checkScaling(tensors)
    const description = {
      ...sae,
      dir,
      format: saelens.name,
      file,
      config: json,
      architecture: architecture.name,
      metadata: readMetadata(json),
    }
    return use({ description, config, shaped, tensors })
  } finally {
    tensors.close()
  }
}

/** SAELens before version 6 multiplied activations by `scaling_factor` if a file had one. */
function checkScaling(tensors: SafetensorsFile): void {
  const name = 'scaling_factor'
  if (!tensors.tensors.has(name) || readFinite(tensors, name).every(value => value === 1)) return
  throw new InputError({
    message: 'this SAE cannot be used as it is stored',
    file: tensors.path,
    field: name,
    found: 'factors other than 1',
    expected: 'no such tensor, or ones: fold it into W_dec first',
  })
}

/** SAELens's `rescale_acts_by_decoder_norm` selects on π‖d‖ and decodes with d/‖d‖: the same as these weights. */
function foldScore({ groups, shape }: SaeConfig['sae'], weights: SaeWeights): void {
  const parts = { groups, weights, normSegments: [[0, shape.dOut] as const] }
  foldNorms({ ...parts, norms: outputNorms(parts), normedScore: true })
}

// What a file format of SAEs is to the rest of the program: a way to recognise, describe and read a folder, and for some to
// write one. Formats are listed in formats.ts; each has a folder of its own.
import type { Sae, SaeWeights } from '../sae.ts'

/** An SAE's folder without its weights. */
export type SaeDescription = Omit<Sae, 'weights'> & {
  dir: string
  /** The format's name. */
  format: string
  /** The file that says what the SAE is, to be named in errors. */
  file: string
  /** What that file holds, as it stands there. */
  config: Readonly<Record<string, unknown>>
  /** What the format calls this kind of SAE. */
  architecture: string
  metadata: SaeMetadata
}

export type SaeFile = SaeDescription & { weights: SaeWeights }

export type SaeFormat = {
  /** In rows, JSON and on the command line, e.g. `saelens`. */
  name: string
  /** For a person: which files make up a folder. */
  summary: string
  /** Names of files by which such a folder is known, for messages. */
  marks: readonly string[]
  /** Is this folder of this format? By the names and heads of small files; false where it cannot be read. */
  recognise(options: { dir: string }): boolean
  /** Without reading weights. @throws InputError naming file, field, found and expected */
  describe(options: { dir: string }): SaeDescription
  /** @throws InputError as `describe` */
  load(options: { dir: string }): SaeFile
  /** Names of the files that make up such a folder, for a copy. */
  files(options: { dir: string }): readonly string[]
  /** Writes a folder as one: a crash leaves the old one or none. Absent: the format is only read. */
  save?(options: { dir: string; sae: Sae; metadata: SaeMetadata }): Promise<void>
}

/** What an SAE's folder says beside its weights. Unknown numbers are absent, never invented. */
export type SaeMetadata = {
  modelName: string
  contextSize: number
  /** Tokens the SAE was trained on. */
  trainingTokens?: number
  seed?: number
  dataset?: string[]
  /** θ of BatchTopK, in the units of its score. */
  thresholds?: SaeThresholds
  /** Everything that the training was asked for and chose, under wire names. */
  training?: Record<string, unknown>
}

/** `calibrated` is what the SAE uses where there is one; `l0` was counted with it over `tokens`. */
export type SaeThresholds = {
  ema: number | null
  calibrated: number | null
  l0: number | null
  tokens: number | null
}

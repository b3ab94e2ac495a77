// The interface of an SAE file format: recognise, describe and read a folder, and for some
// write one. Formats are listed in formats.ts; each has its own folder.
import type { Sae, SaeWeights } from '../sae.ts'

/** An SAE's folder without its weights. */
export type SaeDescription = Omit<Sae, 'weights'> & {
  dir: string
  /** The format's name. */
  format: string
  /** The file that describes the SAE, for error messages. */
  file: string
  /** That file's content, unchanged. */
  config: Readonly<Record<string, unknown>>
  /** What the format calls this kind of SAE. */
  architecture: string
  metadata: SaeMetadata
}

export type SaeFile = SaeDescription & { weights: SaeWeights }

export type SaeFormat = {
  /** In rows, JSON and on the command line, e.g. `saelens`. */
  name: string
  /** Shown to users: which files make up a folder. */
  summary: string
  /** File names that identify such a folder, for messages. */
  marks: readonly string[]
  /** Whether the folder has this format, judged by names and the start of small files; false if unreadable. */
  recognise(options: { dir: string }): boolean
  /** Without reading weights. @throws InputError naming file, field, found and expected */
  describe(options: { dir: string }): SaeDescription
  /** @throws InputError as `describe` does */
  load(options: { dir: string }): SaeFile
  /** Names of the files to copy with such a folder. */
  files(options: { dir: string }): readonly string[]
  /** Writes a folder atomically: a crash leaves the old one or none. Absent: the format is read-only. */
  save?(options: { dir: string; sae: Sae; metadata: SaeMetadata }): Promise<void>
}

/** What an SAE's folder records besides its weights. Unknown numbers are absent, never invented. */
export type SaeMetadata = {
  modelName: string
  contextSize: number
  /** Tokens the SAE was trained on. */
  trainingTokens?: number
  seed?: number
  dataset?: string[]
  /** θ of BatchTopK, in the units of its score. */
  thresholds?: SaeThresholds
  /** All settings of the training, given or chosen, under wire names. */
  training?: Record<string, unknown>
}

/** The SAE uses `calibrated` if present; `l0` was counted with it over `tokens`. */
export type SaeThresholds = {
  ema: number | null
  calibrated: number | null
  l0: number | null
  tokens: number | null
}

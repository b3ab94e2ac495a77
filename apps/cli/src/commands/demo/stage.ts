// What the stages of the demo share: the run they work on, where its SAEs lie, how it stops, and how a stage knows
// that an earlier result was made from the weights that are there now.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkerPool } from '@mistudio/tensor'
import type { JobContext } from '../../frame/command.ts'
import type { DemoSpec } from './result.ts'

export const assets = fileURLToPath(new URL('../../../../../assets/demo', import.meta.url))

export type Stage = {
  /** The folder of this seed's results. */
  dir: string
  spec: DemoSpec
  pool: WorkerPool
  /** Where the model, its widened weights and the token stores lie. */
  place: { models: string[]; cacheDir: string; stores: string[] }
  context: JobContext
}

/** Ctrl-C between or inside stages; what is finished or checkpointed is kept. */
export class Stopped extends Error {}

export function checkStop(context: JobContext): void {
  if (context.signal.stopped()) throw new Stopped()
}

export const saeDir = (run: string, hook: string) => join(run, 'training', hook)

/** Which weights a result was made from: a result of other weights is made again. */
export const weightsHash = (sae: string) =>
  createHash('sha256')
    .update(readFileSync(join(sae, 'sae_weights.safetensors')))
    .digest('hex')

/** The record of an earlier result, empty where there is none that can be read. */
export function madeFrom(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}
